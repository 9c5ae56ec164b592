"""Analyses of trained models: what they rebuild, predict and determine."""
