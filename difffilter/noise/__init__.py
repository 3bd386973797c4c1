"""Noise: putting it on, measuring it, stabilising its variance."""
