"""Analyses: each file asks a few questions of films or of what models say of them, and registers its answers."""
