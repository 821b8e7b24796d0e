"""One run: simulated, saved between segments, measured, and what came of it as a result."""
