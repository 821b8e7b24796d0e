#!/usr/bin/env bash
# Brian2's exact method turns a membrane into NaN where its time constant is that of its synaptic current, without a word.
#
# Brian2 2.9.0. dv/dt = (I - v)/tau, dI/dt = -I/tau_s is linear for any time constants: with tau = tau_s, v(t) = (v0 + I0 t/tau) exp(-t/tau). One
# would guess that method = "exact" gives that, or refuses. The solution is found with symbols, for which tau - tau_s stands below a fraction bar; the
# numbers are put in when it runs. v is NaN after the first step, no warning is given (NumPy's own apart), no spike is ever found since NaN passes no
# threshold, and "euler" gives the right curve.
#
# Seen: after 0.1 ms v is NaN for tau_s = tau = 10 ms; for tau_s = 9.999 ms it is within 1e-4 of the closed form.
# bioFA steps such neurons by matrix exponentials in both of its readings (bioFA/equations/integrate.py), which divide by no difference.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet brian2==2.9.0 numpy==2.3.5 setuptools==80.9.0
cd "$scratch"
env/bin/python - <<'PY'
import math
import sys
import warnings

import brian2 as b2
import numpy as np

b2.prefs.codegen.target = "numpy"
warnings.simplefilter("ignore")


def after_one_step(tau_s, method):
    """v after 0.1 ms from v = 0, I = 1, and how many spikes 50 ms bring."""
    b2.start_scope()
    cell = b2.NeuronGroup(
        1, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_s : 1", threshold="v > 0.05", reset="", refractory=1 * b2.second,
        method=method, namespace={"tau": 10 * b2.ms, "tau_s": tau_s * b2.ms}, dt=0.1 * b2.ms,
    )
    cell.I = 1
    spikes = b2.SpikeMonitor(cell)
    network = b2.Network(cell, spikes)
    network.run(0.1 * b2.ms)
    v = float(cell.v[0])
    network.run(49.9 * b2.ms)
    return v, spikes.num_spikes


wanted = 0.01 * math.exp(-0.01)
equal, near, euler = after_one_step(10.0, "exact"), after_one_step(9.999, "exact"), after_one_step(10.0, "euler")
print(f"closed form {wanted:.6f}; exact, equal time constants {equal}; exact, 9.999 ms {near}; euler {euler}")
sys.exit(0 if np.isnan(equal[0]) and equal[1] == 0 and abs(near[0] - wanted) < 1e-4 and near[1] == 1 and euler[1] == 1 else 1)
PY
