"""Runs NIR graphs in the tools they are meant for, and has those tools write some; by a Python of its own, which has no bioFA.

    nir_client.py run TOOL GRAPH.nir IN.npz OUT.npz      spikes (n, steps, n_in) in; of every neuron node (n, steps, size) out, from rest in each of the n
    nir_client.py write TOOL GRAPH.nir IN.npz OUT.npz    a network of the tool's own, written by it to GRAPH.nir, and its spikes
"""

import contextlib
import io
import sys

import nir
import numpy as np
import torch


def hear(module, name, heard):
    """Keep what a module answers, without its state, in `heard[name]`."""
    def keep(_module, _arguments, answer):
        spikes = answer[0] if isinstance(answer, tuple) else answer
        heard.setdefault(name, []).append(spikes.detach().numpy().reshape(-1).copy())
    module.register_forward_hook(keep)


def snntorch(graph, dt):
    """snnTorch takes every graph for one of 0.1 ms, so its time constants are told in such steps."""
    from snntorch.import_nir import import_from_nir

    def in_its_steps(node):
        for name in ("tau", "tau_mem", "tau_syn"):
            if hasattr(node, name):
                setattr(node, name, getattr(node, name) * (1e-4 / dt))
        for inner in getattr(node, "nodes", {}).values():
            in_its_steps(inner)

    in_its_steps(graph)
    with contextlib.redirect_stdout(io.StringIO()):
        return import_from_nir(graph)


def norse(graph, dt):
    import norse.torch

    return norse.torch.from_nir(graph, dt=dt)


def spikingjelly(graph, dt):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=dt, dtype=torch.float64)


def run(tool, path, spikes):
    graph = nir.read(path)
    dt = float(graph.metadata["dt"])
    neurons = [name for name, node in graph.nodes.items() if isinstance(node, (nir.LIF, nir.CubaLIF, nir.NIRGraph))]
    out = {name: [] for name in neurons}
    for presentation in spikes:
        model, heard = {"snntorch": snntorch, "norse": norse, "spikingjelly": spikingjelly}[tool](nir.read(path), dt), {}
        modules = dict(model.named_modules())
        for name in neurons:
            hear(modules[name], name, heard)
        state = None
        kind = torch.float64 if tool == "spikingjelly" else torch.float32
        with torch.no_grad():
            for row in presentation:
                _, state = model(torch.as_tensor(row, dtype=kind)[None], state)
        for name in neurons:
            out[name].append(np.array(heard[name]))
    return {name: np.array(rows).astype(np.uint8) for name, rows in out.items()}


def write(tool, path, spikes):
    """An input, a recurrent layer (snnTorch) or a layer, and an output, with biases in the first; what the output layer spikes."""
    torch.manual_seed(1)
    steps, n_in = spikes.shape[1:]
    x = torch.as_tensor(spikes[0], dtype=torch.float32)
    if tool == "snntorch":
        import snntorch as snn
        from snntorch.export_nir import export_to_nir

        def leaky(kind, size, **more):
            return kind(beta=torch.full((size,), 0.95), threshold=torch.full((size,), 0.8), reset_mechanism="zero", reset_delay=False, init_hidden=True, **more)

        hidden = leaky(snn.RLeaky, 25, linear_features=25, all_to_all=True)
        hidden.recurrent.weight.data *= 0.5
        hidden.recurrent.bias.data.zero_()
        model = torch.nn.Sequential(torch.nn.Linear(n_in, 25), hidden, torch.nn.Linear(25, 6, bias=False), leaky(snn.Leaky, 6, output=True))
        model[0].weight.data += 0.1
        model[2].weight.data += 0.2
        with contextlib.redirect_stdout(io.StringIO()):
            graph = export_to_nir(model, x[:1].reshape(-1))
        layers = {"hidden": model[1], "output": model[3]}
    else:
        from spikingjelly.activation_based import functional, layer, neuron
        from spikingjelly.activation_based.nir_exchange import export_to_nir

        model = torch.nn.Sequential(
            layer.Linear(n_in, 25), neuron.LIFNode(tau=20.0, decay_input=False, v_threshold=0.8, v_reset=0.0),
            layer.Linear(25, 6, bias=False), neuron.LIFNode(tau=10.0, decay_input=True, v_threshold=0.3, v_reset=0.0),
        )
        model[0].weight.data += 0.1
        model[2].weight.data += 0.8
        graph = export_to_nir(model, x[:1], dt=1e-4)
        functional.reset_net(model)
        layers = {"hidden": model[1], "output": model[3]}
    nir.write(path, graph)
    heard = {}
    for name, module in layers.items():
        hear(module, name, heard)
    if tool == "snntorch":
        import snntorch.utils

        snntorch.utils.reset(model)
    with torch.no_grad():
        for row in x:
            model(row[None])
    return {name: np.array(rows).astype(np.uint8)[None] for name, rows in heard.items()}


if __name__ == "__main__":
    what, tool, path, source, out = sys.argv[1:]
    with np.load(source) as given:
        spikes = given["spikes"]
    np.savez(out, **{"run": run, "write": write}[what](tool, path, spikes))
