"""
A network without a teacher
===========================

Spikes, rate and potentials of ``random_ei`` (Brunel 2000), a tenth of its size: first as inhibition dominates, g = 5,
then with g = 3, where excitation drives every neuron as fast as its refractory period lets it.
"""

import matplotlib.pyplot as plt

import bioFA

figure, rows = plt.subplots(2, 2, figsize=(8, 4), sharex="col", layout="constrained", width_ratios=(2, 1))
for g, (raster, potential) in zip((5, 3), rows, strict=True):
    changes = {"constants.order": 250, "constants.J": "1 mV", "constants.g": g, "protocol.duration": "400 ms"}
    result = bioFA.simulate(bioFA.load("random_ei", changes | {"record.spikes": ["exc[0:100]"]}), seed=1)
    neurons, times = result.spikes("exc", start=0.2)
    raster.plot(1e3 * times, neurons, "|", markersize=2)
    raster.set(ylabel="neuron", title=f"g = {g}: {result.metrics['exc.rate']:.0f} Hz")
    trace = result.traces[0]
    potential.plot(1e3 * trace.times, 1e3 * trace["v"][:, 0], linewidth=0.7)
    potential.set(ylabel="potential (mV)", xlim=(300, 400))
rows[1, 0].set_xlabel("time (ms)")
rows[1, 1].set_xlabel("time (ms)")
plt.show()
