"""Brian2: the one place that imports it."""
