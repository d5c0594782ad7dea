"""Guided presets (helper U is writing these)."""

PRESETS: tuple = ()
