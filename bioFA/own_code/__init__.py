"""Code of somebody's own: Python files that model files name, whether they may run here, and how they are found."""
