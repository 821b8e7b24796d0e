#!/usr/bin/env bash
# A spike at the common edge of two slices of a Neo spike train is in both of them; a sample of a signal is in one.
#
# Neo 0.14.6. One would guess that cutting a recording of 500 ms into five windows of 100 ms by `time_slice(t, t + 100 ms)` gives every spike once, as it
# gives every sample of an AnalogSignal once. A slice of a SpikeTrain, and the train in a slice of a Segment, has both of its ends; so has an Event. Spikes
# of a simulation lie on its grid, so that edges are hit often: trials that are cut so count spikes twice, at the end of one window and at the
# beginning of the next.
#
# Seen: of 5 spikes at 0, 100, ..., 400 ms the five windows hold 2, 2, 2, 2 and 1, nine in all; the 500 samples of a signal are 500 in all.
# bioFA cuts NIX and NWB files into trials itself; a window has its beginning and not its end (docs/formats/recordings.md).
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet neo==0.14.6 quantities==0.16.4 numpy==2.3.5
cd "$scratch"
env/bin/python - <<'PY'
import sys

import neo
import numpy as np
import quantities as pq

train = neo.SpikeTrain(np.arange(0.0, 500.0, 100.0) * pq.ms, t_stop=500 * pq.ms)
signal = neo.AnalogSignal(np.zeros((500, 1)) * pq.mV, sampling_rate=1 * pq.kHz)
segment = neo.Segment()
segment.spiketrains.append(train)
windows = [(start * pq.ms, (start + 100) * pq.ms) for start in range(0, 500, 100)]
spikes = [len(train.time_slice(*window)) for window in windows]
in_segment = [len(segment.time_slice(*window).spiketrains[0]) for window in windows]
samples = [len(signal.time_slice(*window)) for window in windows]
print(f"{len(train)} spikes: {spikes} in the slices, {in_segment} in those of the segment; {len(signal)} samples: {samples}")
sys.exit(0 if spikes == in_segment == [2, 2, 2, 2, 1] and samples == [100] * 5 else 1)
PY
