"""Stepping in time: states, schemes, stability, tiles."""
