"""Jitted loops."""
