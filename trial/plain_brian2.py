"""The control: a small network that learns by feedback alignment, written in plain Brian2 as anybody might,
without bioFA.

    python plain_brian2.py FOLDER RESULT      build it as a C++ standalone project in FOLDER, run it,
                                              and save its weights

It is a script of its own and imports nothing of bioFA.
"""

import sys

import numpy as np


def describe(folder: str):  # type: ignore[no-untyped-def]
    """Describe the network to Brian2, not yet compiled."""
    import brian2 as b2

    b2.set_device("cpp_standalone", directory=folder, build_on_run=False)
    b2.defaultclock.dt = 1 * b2.ms
    rng = np.random.default_rng(1)
    shown = b2.TimedArray(rng.normal(size=(400, 10)), dt=5 * b2.ms)  # noqa: F841  (named in an equation)
    wanted = b2.TimedArray(rng.normal(size=(400, 4)), dt=5 * b2.ms)  # noqa: F841
    source = b2.NeuronGroup(10, "r = shown(t, i) : 1")
    hidden = b2.NeuronGroup(8, "dr/dt = (drive - r)/(5*ms) : 1\ndrive : 1\nerror : 1", method="euler")
    output = b2.NeuronGroup(
        4, "dr/dt = (drive - r)/(5*ms) : 1\ndrive : 1\nerror = wanted(t, i) - r : 1", method="euler"
    )
    rule = (
        "dw/dt = eta*error_post*r_pre : 1 (clock-driven)\ndrive_post = w*r_pre : 1 (summed)\neta : Hz (shared,"
        " constant)"
    )
    first = b2.Synapses(source, hidden, rule, method="euler")
    second = b2.Synapses(hidden, output, rule, method="euler")
    back = b2.Synapses(output, hidden, "w : 1 (constant)\nerror_post = w*error_pre : 1 (summed)")
    for synapses in (first, second, back):
        synapses.connect()
        synapses.w = rng.normal(size=len(synapses.source) * len(synapses.target)) * 0.3
    first.eta = second.eta = 1 * b2.Hz
    watched = b2.StateMonitor(output, "r", record=True)
    network = b2.Network(source, hidden, output, first, second, back, watched)
    network.run(2 * b2.second)
    return b2, first, second, watched


def save(path: str, first, second, watched) -> None:  # type: ignore[no-untyped-def]
    """Save what it came to."""
    np.savez(path, first=np.asarray(first.w), second=np.asarray(second.w), output=np.asarray(watched.r))


if __name__ == "__main__":
    b2, first, second, watched = describe(sys.argv[1])
    b2.device.build(directory=sys.argv[1])
    save(sys.argv[2], first, second, watched)
