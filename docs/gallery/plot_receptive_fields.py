"""
What hidden neurons look for
============================

The weights from the image to twelve hidden neurons of ``digits``, before and after learning by feedback alignment.
"""

import matplotlib.pyplot as plt
import numpy as np

import bioFA

result = bioFA.simulate(bioFA.load("digits"), seed=1)
shots = result.snapshots["input_to_hidden.w"]
strongest = np.argsort(-np.linalg.norm(shots[-1], axis=1))[:12]
figure, panels = plt.subplots(2, 12, figsize=(10, 2))
for row, weights in zip(panels, (shots[0], shots[-1]), strict=True):
    for panel, neuron in zip(row, strongest, strict=True):
        limit = np.abs(shots[-1][neuron]).max()
        panel.imshow(weights[neuron].reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set_axis_off()
plt.show()
