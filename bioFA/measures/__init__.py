"""Measures that a model declares of what its network does where time passes without a task."""
