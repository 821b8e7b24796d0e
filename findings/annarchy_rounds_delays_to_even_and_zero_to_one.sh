#!/usr/bin/env bash
# ANNarchy rounds a delay of half a step to the even number of steps, and makes one step of no delay, without a word.
#
# ANNarchy 5.0.4.1 at dt = 1 ms. One would guess that delays of 1.5, 2.5 and 3.5 ms go all up or all down, and that a delay of 0, which its documentation
# does not exclude, acts sooner than one of 1 ms, or is refused. 1.5 and 2.5 ms both arrive as 2 ms does, 3.5 ms as 4 ms would, and 0 and 0.4 ms as 1 ms.
# Brian2 and NEST round half steps up, so a network with delays of half steps has other arrivals in each.
#
# Seen: spikes through delays of 0, 0.4, 1, 1.5, 2, 2.5, 3, 3.5 ms arrive after 1, 1, 1, 2, 2, 2, 3, 4 steps.
# bioFA rounds half steps up, and keeps a delay of 0 apart from one of a step (docs/howto/delays.md).
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet ANNarchy==5.0.4.1 cmake==4.1.2 numpy==2.3.5
cd "$scratch"
cat > arrivals.py <<'PY'
import sys

import ANNarchy as ann
import numpy as np

DELAYS = [0.0, 0.4, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
network = ann.Network(dt=1.0)
source = network.create(ann.SpikeSourceArray([[5.0]]))
target = network.create(geometry=len(DELAYS), neuron=ann.Neuron(parameters="", equations="v = g_exc", spike="v > 100", reset=""))
for index, delay in enumerate(DELAYS):
    network.connect(source, target[index:index + 1], target="exc").all_to_all(weights=1.0, delays=delay)
monitor = network.monitor(target, "v")
network.compile(directory="build", silent=True)
network.simulate(15.0)
first = np.argmax(monitor.get("v"), axis=0)
steps = [int(step - first[DELAYS.index(1.0)] + 1) for step in first]
print("steps:", *steps)
sys.exit(0 if steps == [1, 1, 1, 2, 2, 2, 3, 4] else 1)
PY
PATH="$PWD/env/bin:$PATH" env/bin/python arrivals.py
