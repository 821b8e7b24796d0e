"""Write data.csv: points on three arms of a spiral, which no single layer can tell apart.
Put your own data in its place."""

import csv

import numpy as np

rng = np.random.default_rng(1)
with open("data.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["x", "y", "arm"])
    for _ in range(750):
        arm, radius = rng.integers(3), rng.uniform(0.1, 1.0)
        angle = 2 * np.pi * arm / 3 + 5.0 * radius + rng.normal(scale=0.15)
        table.writerow([f"{radius * np.cos(angle):.4f}", f"{radius * np.sin(angle):.4f}", "ABC"[arm]])
