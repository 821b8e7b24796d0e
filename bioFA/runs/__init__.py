"""One run: simulated, saved between segments, measured, and its result."""
