"""Measurements: arrays in, numbers out. Nothing here knows a simulator or a file."""
