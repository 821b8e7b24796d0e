"""The equations and constants of the spiking case: 784-500-10,
event-driven random backpropagation on frozen Poisson input.

In each step of dt, with I the current, v the potential, U the dendrite, r the trace and s the spikes of a neuron:

    I += sum_j w_ij s_j / (f tau_syn)                          a spike arrives: one event a synapse
    w_ij += eta U_i gate_i s_j / (f T)                         and changes it, the gate being GATE[0] < I_i < GATE[1]
                                                               before it arrived
    tau_syn dI/dt = -I       tau dv/dt = -v + I                exact, with threshold 1, reset to 0 and refractoriness
    tau_dendrite dU/dt = -U + error                            error = B (t - r) in the hidden layer, t - r in the
                                                               output
    tau_trace dr/dt = -r + s / (f dt)

f = `UNIT_RATE`, T the length of a presentation. Learning is on in every step. Spikes of a step arrive in the next one,
input spikes in their own.
"""

from __future__ import annotations

DT = 1e-3
TAU, TAU_SYN, TAU_TRACE, TAU_DENDRITE, REFRACTORY = 20e-3, 5e-3, 20e-3, 20e-3, 2e-3
UNIT_RATE = 100.0
GATE = (-1.0, 4.0)
STEPS = 100
