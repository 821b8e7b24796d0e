"""
Forward weights turn towards random feedback
============================================

The angle between the feedback matrix B and the transposed forward matrix W' falls while the network learns,
though B never changes.
"""

import matplotlib.pyplot as plt

import bioFA

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for seed in (1, 2, 3):
    result = bioFA.simulate(bioFA.load("linear"), seed)
    left.semilogy(result.recording.at, result.learning_curve, linewidth=0.5)
    right.plot(result.snapshots_at, result.alignment_course["mismatch_to_hidden"]["alignment"], label=f"seed {seed}")
left.set(xlabel="presentation", ylabel="normalised squared error")
right.axhline(90, color="grey", linestyle=":")
right.set(xlabel="presentation", ylabel="angle between B and W' (degrees)", ylim=(0, 100))
right.legend()
plt.show()
