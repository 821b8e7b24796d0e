"""
Ways to carry an error back
===========================

The same network, data and initial weights under different schemes: the shallow one cannot solve the task,
all that tell hidden neurons about the error can.
"""

import matplotlib.pyplot as plt
import numpy as np

import bioFA

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for scheme in ("shallow", "fa", "kp", "bp"):
    curves = [bioFA.simulate(bioFA.load("linear").with_scheme(scheme), seed).learning_curve for seed in (1, 2, 3)]
    mean = np.exp(np.mean(np.log(curves), axis=0))
    axes.semilogy(np.convolve(mean, np.ones(50) / 50, mode="valid"), label=scheme)
axes.set(xlabel="presentation", ylabel="normalised squared error, geometric mean of 3 seeds")
axes.legend()
plt.show()
