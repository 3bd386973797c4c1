"""Time stepping: states, schemes, stability, halos and sample tiles."""
