"""Measurements: how fast descent is, side by side with other ways, and how fast the command starts."""
