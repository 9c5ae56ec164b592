"""Is the transition continuous?  Curves read at the onset, a test for jumps, and its controls."""
