"""Figures: methods side by side, the two diffusions."""
