"""Many runs: a table of conditions and seeds, its jobs as processes, and statistics of their outcomes."""
