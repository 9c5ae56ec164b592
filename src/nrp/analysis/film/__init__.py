"""Analyses of the magnetic film: its patterns, their onset, its solver, and a droplet model."""
