"""Analyses: each file asks a few questions of films, or of models, and registers its answers."""
