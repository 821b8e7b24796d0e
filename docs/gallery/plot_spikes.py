"""
The same in spikes
==================

Poisson inputs, leaky integrate-and-fire neurons, and a graded error that is fed back all the time: spikes of the last
network over the first images. ``figures.raster(result)`` draws more; here is how to draw it yourself.
"""

import matplotlib.pyplot as plt

import bioFA

changes = {"circuit.sizes": [64, 60, 10], "protocol.phases": [{"presentations": 1000}], "protocol.snapshots": 4}
result = bioFA.simulate(bioFA.load("digits_spiking", changes), seed=1)

protocol = result.experiment.protocol
figure, panels = plt.subplots(3, 1, sharex=True, figsize=(8, 5), layout="constrained", height_ratios=[64, 60, 20])
for panel, (population, spikes) in zip(panels, result.activity.spikes.items(), strict=True):
    steps, neurons = spikes.T
    panel.plot(steps * protocol.step, neurons, "|", color="black", markersize=2)
    panel.set(ylabel=population)
    for presentation in range(result.activity.presentations):
        panel.axvline(presentation * protocol.steps * protocol.step, color="tab:blue", linewidth=0.5)
panels[-1].set(xlabel="time (s), one image between two lines")
plt.show()
