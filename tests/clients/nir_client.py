"""Runs NIR graphs in the tools they are meant for, and has those tools write some; by a Python of its own,
which has no bioFA.

    nir_client.py TOOL FOLDER

For each NAME.nir in the folder, and the spikes of NAME.in.npz (n, steps, n_in), those of every neuron node go to
NAME.TOOL.npz (n, steps, size), each of the n presentations from rest; computed in float64, and in the float32 that is
these tools' own in NAME.TOOL.single.npz. Of snnTorch and SpikingJelly a network of their own goes to written_TOOL.nir,
and its spikes to written_TOOL.npz, on the first presentation of written.in.npz.
"""

import contextlib
import functools
import io
import sys
from pathlib import Path

import nir
import nirtorch
import numpy as np
import torch

NIR_TO_TORCH = nirtorch.nir_to_torch
# snnTorch and norse cast to float32, whatever the precision
torch.Tensor.float = lambda tensor: tensor.to(torch.get_default_dtype())


def hear(module, name, heard):
    """Keep what a module answers, without its state, in `heard[name]`."""
    def keep(_module, _arguments, answer):
        spikes = answer[0] if isinstance(answer, tuple) else answer
        heard.setdefault(name, []).append(spikes.detach().numpy().copy())
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
    # which snnTorch leaves at float32
    nirtorch.nir_to_torch = functools.partial(NIR_TO_TORCH, dtype=torch.get_default_dtype())
    with contextlib.redirect_stdout(io.StringIO()):
        return import_from_nir(graph)


def norse(graph, dt):
    import norse.torch

    return norse.torch.from_nir(graph, dt=dt)


def spikingjelly(graph, dt):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(graph, dt=dt, dtype=torch.get_default_dtype())


def run(tool, path, spikes):
    graph = nir.read(path)
    dt = float(graph.metadata["dt"])
    neurons = [name for name, node in graph.nodes.items() if isinstance(node, (nir.LIF, nir.CubaLIF, nir.NIRGraph))]
    model, heard = {"snntorch": snntorch, "norse": norse, "spikingjelly": spikingjelly}[tool](graph, dt), {}
    modules = dict(model.named_modules())
    for name in neurons:
        hear(modules[name], name, heard)
    state = None
    rows = torch.as_tensor(spikes, dtype=torch.get_default_dtype())
    with torch.no_grad():
        for step in range(rows.shape[1]):
            _, state = model(rows[:, step], state)
    return {name: np.stack(heard[name], axis=1).astype(np.uint8) for name in neurons}


def write(tool, path, spikes):
    """An input, a layer, recurrent in snnTorch, with biases, and an output; and what both layers spike."""
    torch.manual_seed(1)
    n_in = spikes.shape[2]
    x = torch.as_tensor(spikes[0], dtype=torch.float32)
    if tool == "snntorch":
        import snntorch as snn
        from snntorch.export_nir import export_to_nir

        def leaky(kind, size, **more):
            return kind(
                beta=torch.full((size,), 0.95),
                threshold=torch.full((size,), 0.8),
                reset_mechanism="zero",
                reset_delay=False,
                init_hidden=True,
                **more,
            )

        hidden = leaky(snn.RLeaky, 25, linear_features=25, all_to_all=True)
        hidden.recurrent.weight.data *= 0.5
        hidden.recurrent.bias.data.zero_()
        model = torch.nn.Sequential(
            torch.nn.Linear(n_in, 25), hidden, torch.nn.Linear(25, 6, bias=False), leaky(snn.Leaky, 6, output=True)
        )
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
    return {name: np.stack(rows, axis=1).astype(np.uint8) for name, rows in heard.items()}


def main(tool, folder):
    for path in sorted(folder.glob("*.nir")):
        if not path.name.startswith("written"):
            for precision, ending in ((torch.float64, "npz"), (torch.float32, "single.npz")):
                torch.set_default_dtype(precision)
                np.savez(
                    path.with_suffix(f".{tool}.{ending}"), **run(tool, path, spikes_of(path.with_suffix(".in.npz")))
                )
    if tool != "norse":
        path = folder / f"written_{tool}.nir"
        np.savez(path.with_suffix(".npz"), **write(tool, path, spikes_of(folder / "written.in.npz")))


def spikes_of(path):
    with np.load(path) as given:
        return given["spikes"]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
