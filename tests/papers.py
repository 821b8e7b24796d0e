"""Weight changes by the papers' equations, from recorded spikes: a third reading, which shares no line with the rules,
neurons or consumers.

Each function takes one presentation that began at rest: `spikes[population]` `(steps, size)`, 1 where a neuron spiked;
`shown`, what graded sources show; the weights `(n_post, n_pre)` as it began; and the parameters. It returns the weights
at the end. A filter is written as its impulse response, a membrane as its solution between recorded spikes; whether a
neuron spiked is never asked of the equations. A spike that the threshold test of step n found is recorded, sent and (by
what is reset) felt in step n + 1.
"""

import numpy as np


def filtered(signal, tau, dt):
    """tau dx/dt = -x + signal from 0, at the beginning of every step:
    x_n = (1 - exp(-dt/tau)) sum_{m<n} exp(-(n-1-m) dt/tau) signal_m."""
    n = np.arange(len(signal))
    lag = n[:, np.newaxis] - 1 - n
    kernel = np.where(lag >= 0, (1 - np.exp(-dt / tau)) * np.exp(-np.maximum(lag, 0) * dt / tau), 0.0)
    return np.tensordot(kernel, signal, axes=1)


def train(spikes, rate, dt):
    """A spike train over the rate that counts as 1."""
    return spikes / (rate * dt)


def silent(spikes, n, period, dt):
    """Which neurons are refractory in step n: those with a spike in the steps n - period/dt + 1 to n."""
    steps = round(period / dt)
    return spikes[max(0, n - steps + 1) : n + 1].any(axis=0) if steps else np.zeros(spikes.shape[1], bool)


class Current:
    """Synaptic current of a LIF neuron (Dayan & Abbott, 2001, section 5.8): a jump by what arrives over tau_syn,
    then decay."""

    def __init__(self, size, tau_syn, dt):
        self.now, self.tau, self.dt = np.zeros(size), tau_syn, dt

    def receive(self, arriving):
        self.peak = self.now + arriving * self.dt / self.tau
        self.now = self.peak * np.exp(-self.dt / self.tau)


def proxy_slope(current, height, slope):
    """d/dI max(0, c1 tanh(c2 I)); Samadi, Lillicrap & Tweed (2017)."""
    return np.where(current > 0, height * slope / np.cosh(slope * current) ** 2, 0.0)


def feedback_alignment_lif(spikes, shown, w, p):
    """dW = eta e h' and dW0 = eta (B e * phi') x': Lillicrap et al.
    (2014), arXiv 1411.0247, methods, with low-passed trains for x, h and y.

    Where pairs of neurons carry the error, e is their trains, E+ - E-, as they arrive. With `eta_B`, B learns by dB =
    eta h e' and every pathway decays by lambda: Akrout et al. (2019), arXiv 1904.05391, eqs. 16 and 17.
    """
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    x, h, y = (
        filtered(train(spikes[name], p[name], dt), tau, dt)
        for name, tau in (("input", p["tau_in"]), ("hidden", p["tau_h"]), ("output", p["tau_o"]))
    )
    sent = train(spikes["input"], p["input"], dt)
    current = Current(h.shape[1], p["tau_syn"], dt)
    part = dt / p["T"]
    for n in range(len(x)):
        arriving = w["in"] @ sent[n] + w["bias_h"][:, 0]
        if n >= p["onset"]:
            e = (
                shown - y[n]
                if "rate_error" not in p
                else train(spikes["mismatch"][n] - spikes["mismatch_off"][n], p["rate_error"], dt)
            )
            d = (w["B"] @ e) * proxy_slope(current.now, p["height"], p["slope"])
            change = {
                "in": p["eta"] * np.outer(d, x[n]),
                "bias_h": p["eta"] * d[:, None],
                "out": p["eta_out"] * np.outer(e, h[n]),
                "bias_o": p["eta_out"] * e[:, None],
            }
            if "eta_B" in p:
                change["B"] = p["eta_B"] * np.outer(h[n], e)
            for name, product in change.items():
                w[name] = w[name] + part * (product - p["lambda"].get(name, 0.0) * w[name])
        current.receive(arriving)
    return w


def feedback_alignment_sigmoid(spikes, shown, w, p):
    """The same for units that spike with the chance sigma(u) and readouts that are leaky:
    phi' = sigma(u)(1 - sigma(u)), y a filter of W h."""
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    sent, through = train(spikes["input"], p["input"], dt), train(spikes["hidden"], p["hidden"], dt)
    x, h = filtered(sent, p["tau_in"], dt), filtered(through, p["tau_h"], dt)
    arrived, answered = np.zeros_like(h), np.zeros((len(h), len(shown)))
    for n in range(len(x)):
        u, y = filtered(arrived[: n + 1], p["tau"], dt)[n], filtered(answered[: n + 1], p["tau_y"], dt)[n]
        arrived[n], answered[n] = w["in"] @ sent[n], w["out"] @ through[n]
        if n >= p["onset"]:
            e = shown - y
            slope = 1 / (2 + 2 * np.cosh(u))
            w["in"] = w["in"] + dt / p["T"] * p["eta"] * np.outer((w["B"] @ e) * slope, x[n])
            w["out"] = w["out"] + dt / p["T"] * p["eta_out"] * np.outer(e, h[n])
    return w


def superspike(spikes, shown, w, p):
    """dw_ij = r int e_i(t) alpha * [sigma'(U_i) (eps * S_j)] dt: Zenke & Ganguli (2018), eqs.
    2.2 to 2.6; e = alpha * (S_target - S), eq. 2.1.

    sigma'(U) = (1 + beta |U - 1|)^-2; eps and alpha are double exponentials of unit area.
    Hidden neurons get e through B (random feedback).
    """
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    sent = {name: train(spikes[name], p["rate"], dt) for name in ("input", "hidden", "output", "target")}
    eps = {name: filtered(filtered(sent[name], p["tau_syn"], dt), p["tau"], dt) for name in ("input", "hidden")}
    e = filtered(filtered(sent["target"] - sent["output"], p["tau_rise"], dt), p["tau_decay"], dt)
    layers = {"in": ("input", "hidden"), "out": ("hidden", "output")}
    U = {post: np.zeros(spikes[post].shape[1]) for _, post in layers.values()}
    current = {post: Current(len(U[post]), p["tau_syn"], dt) for post in U}
    inside = {name: np.zeros((len(e), *w[name].shape)) for name in layers}
    leak, fade = np.exp(-dt / p["tau"]), np.exp(-dt / p["tau_syn"])
    for n in range(len(e)):
        arriving = {post: w[name] @ sent[pre][n] for name, (pre, post) in layers.items()}
        for name, (pre, post) in layers.items():
            inside[name][n] = np.outer((1 + p["beta"] * np.abs(U[post] - 1)) ** -2.0, eps[pre][n])
            trace = filtered(filtered(inside[name][: n + 1], p["tau_rise"], dt), p["tau_decay"], dt)[n]
            error = e[n] if name == "out" else w["B"] @ e[n]
            if n >= p["onset"]:
                w[name] = w[name] + dt / p["T"] * p["eta"] * error[:, None] * trace
        for post in U:
            v = np.where(spikes[post][n] > 0, 0.0, U[post])
            current[post].receive(arriving[post])
            U[post] = v * leak + current[post].peak * p["tau_syn"] / (p["tau_syn"] - p["tau"]) * (fade - leak)
            U[post] = np.where(silent(spikes[post], n, p["refractory"], dt), 0.0, U[post])
    return w


def e_prop(spikes, shown, w, p):
    """dW_ji = eta sum_t L_j F(e_ji), L = B (y* - y), e = psi (eps_v - beta eps_a): Bellec et al. (2020), eqs.
    4, 24, 25 and 28; readout dW_out = eta (y* - y) F(z)'.

    eps_a' = psi eps_v + (rho - psi beta) eps_a (eq.
    24), in units in which eps_a moves by the share 1 - rho; psi = gamma max(0, 1 - |v - A|), 0 while refractory.
    """
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    z, x = train(spikes["hidden"], p["rate"], dt), train(spikes["input"], p["rate_in"], dt)
    one = np.ones((len(z), 1))
    pre = {"in": x, "rec": z, "bias_h": one}
    vectors = {name: filtered(signal, p["tau"], dt) for name, signal in pre.items()}
    out_pre = {"out": filtered(z, p["tau_h"], dt), "bias_o": one}
    raised = filtered(np.vstack([z, 0 * z[:1]]), p["tau_a"], dt)[1:]  # a after each step
    share, rho = 1 - np.exp(-dt / p["tau"]), np.exp(-dt / p["tau_a"])
    psi = np.zeros(z.shape[1])
    v, y = np.zeros(z.shape[1]), np.zeros(len(shown))
    slow = {name: np.zeros_like(w[name]) for name in pre}
    past = {name: np.zeros((len(z), *w[name].shape)) for name in pre}
    for n in range(len(z)):
        drive = sum(w[name] @ signal[n] for name, signal in pre.items())
        answer = w["out"] @ z[n] + w["bias_o"][:, 0]
        e = shown - y
        learning = w["B"] @ e
        for name in pre:
            past[name][n] = psi[:, None] * (vectors[name][n][None, :] - p["beta"] * slow[name])
            if n >= p["onset"]:
                w[name] = (
                    w[name]
                    + dt / p["T"] * p["eta"] * learning[:, None] * filtered(past[name][: n + 1], p["tau_y"], dt)[n]
                )
            slow[name] = rho * slow[name] + (1 - rho) * past[name][n]
        if n >= p["onset"]:
            for name, signal in out_pre.items():
                w[name] = w[name] + dt / p["T"] * p["eta_out"] * np.outer(e, signal[n])
        v = v - (spikes["hidden"][n] > 0)  # what the spike that was found in the step before took off
        v = v + share * (drive - v)
        psi = p["gamma"] * np.maximum(0, 1 - np.abs(v - 1 - p["beta"] * raised[n]))
        psi = np.where(silent(spikes["hidden"], n, p["refractory"], dt), 0.0, psi)
        y = y + (1 - np.exp(-dt / p["tau_y"])) * (answer - y)
    return w


def event_driven_random_backpropagation(spikes, shown, w, p):
    """dw_ij = eta T_i Theta(I_i) S_j: Neftci et al. (2017), eRBP.
    T is the dendrite, a filter of the error spikes that arrive: E+ - E-, through B in a hidden layer."""
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    E = train(spikes["mismatch"] - spikes["mismatch_off"], p["rate_error"], dt)
    sent = {name: train(spikes[name], p[f"rate_{name}"], dt) for name in ("input", "hidden")} | {
        "bias": np.ones((len(E), 1))
    }
    T = {"hidden": filtered(E @ w["B"].T, p["tau_dendrite"], dt), "output": filtered(E, p["tau_dendrite"], dt)}
    ends = {
        "in": ("input", "hidden"),
        "bias_h": ("bias", "hidden"),
        "out": ("hidden", "output"),
        "bias_o": ("bias", "output"),
    }
    current = {post: Current(T[post].shape[1], p["tau_syn"], dt) for post in T}
    for n in range(len(E)):
        arriving = {post: sum(w[name] @ sent[pre][n] for name, (pre, to) in ends.items() if to == post) for post in T}
        for name, (pre, post) in ends.items():
            gate = (current[post].now > p["low"]) & (current[post].now < p["high"])
            if n >= p["onset"]:
                w[name] = w[name] + dt / p["T"] * p["eta"] * np.outer(T[post][n] * gate, sent[pre][n])
        for post, received in arriving.items():
            current[post].receive(received)
    return w


def sigma(x):
    return 0.5 * (1 + np.tanh(x / 2))


def two_phase_plateaus(spikes, shown, w, p):
    """dW = -eta (alpha_f - alpha_t) k sigma'(V_f) psi': Guerguiev et al.
    (2017), methods; alpha = sigma(mean apical potential) of each window.

    Of the output, the change is that of its rate, mean sigma(V) in the target window over sigma(mean V) in the forward
    one. psi is the low-passed train of the sender.
    """
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    x, h, y = (
        filtered(train(spikes[name], rate, dt), p["tau_trace"], dt)
        for name, rate in (("image", p["rate_image"]), ("hidden", p["rate"]), ("answer", p["rate"]))
    )
    z = train(spikes["hidden"], p["rate"], dt)
    forward, settling = round(p["forward"] / dt), round(p["settling"] / dt)
    first, second = range(settling, forward), range(forward + settling, len(x))
    g = p["g"]
    k = {"hidden": g / (1 + g + p["g_apical"]), "answer": g / (1 + g)}
    V = {"hidden": np.zeros((len(x), h.shape[1])), "answer": np.zeros((len(x), y.shape[1]))}
    apical = y @ w["B"].T
    for n in range(len(x)):
        drive = {"hidden": w["in"] @ x[n] + w["rec"] @ z[n], "answer": w["out"] @ h[n]}
        seen = [m for m in second if m < n]
        if n >= p["onset"] and seen:
            early = {post: sigma(V[post][list(first)].mean(axis=0)) for post in V}
            change = {
                "hidden": sigma(apical[seen].mean(axis=0)) - sigma(apical[list(first)].mean(axis=0)),
                "answer": sigma(V["answer"][seen]).mean(axis=0) - early["answer"],
            }
            steps = {post: change[post] * k[post] * early[post] * (1 - early[post]) for post in V}
            for name, post, sender in (("in", "hidden", x), ("rec", "hidden", h), ("out", "answer", h)):
                w[name] = w[name] + dt / p["T"] * p["eta"] * np.outer(steps[post], sender[n])
        if n + 1 < len(x):
            teach = p["g_teach"] if n >= forward else 0.0
            pull = {"hidden": p["g_apical"] * apical[n], "answer": teach * p["E"] * (2 * shown - 1)}
            for post, leak in (("hidden", 1 + g + p["g_apical"]), ("answer", 1 + g + teach)):
                aim = (g * drive[post] + pull[post]) / leak
                V[post][n + 1] = aim + (V[post][n] - aim) * np.exp(-dt * leak / p["tau"])
    return w


def weight_perturbation(spikes, shown, w, p):
    """dW = eta (L - L') xi / sigma^2, L = |y* - y|^2 / 2: Cauwenberghs (1993), eqs.
    4 and 5, with one sign of perturbation; the readout by dW = eta e h'."""
    w, dt = {name: array.copy() for name, array in w.items()}, p["dt"]
    y, perturbed = (
        filtered(train(spikes[name], p["rate"], dt), p["tau_o"], dt) for name in ("output", "output_perturbed")
    )
    h = filtered(train(spikes["hidden"], p["rate"], dt), p["tau_h"], dt)
    for n in range(p["onset"], len(y)):
        loss, other = (0.5 * ((shown - answer[n]) ** 2).sum() for answer in (y, perturbed))
        w["in"] = w["in"] + dt / p["T"] * p["eta"] * (loss - other) / p["sigma"] ** 2 * w["xi"]
        w["out"] = w["out"] + dt / p["T"] * p["eta_out"] * np.outer(shown - y[n], h[n])
    return w
