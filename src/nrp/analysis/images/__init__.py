"""Descriptors of images of domain patterns, all in a periodic box: domains, spectrum, persistence."""
