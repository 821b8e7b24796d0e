"""Run a graph of one population, as bioFA exports networks without a teacher, in norse and SpikingJelly:
`python nir_free_client.py FILE NODE SOURCE`, which prints, for each tool, its spikes and how many are in another step.
"""

import sys

import nir
import numpy as np
import torch
from norse.torch import from_nir
from spikingjelly.activation_based.nir_exchange import import_from_nir

torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double  # norse casts to float32, whatever the precision


def main(file, node, source):
    graph, given = nir.read(file), np.load(f"{file}.expected.npz")
    dt, steps = float(np.ravel(graph.metadata["dt"])[0]), int(given["steps"])
    rows = np.zeros((steps, int(graph.nodes[source].input_type["input"][0])))
    early = given[f"{source}.steps"] < steps
    rows[given[f"{source}.steps"][early], given[f"{source}.neurons"][early]] = 1
    wanted = np.zeros((steps + 1, int(graph.nodes[f"{node}_output"].input_type["input"][0])))
    wanted[given[f"{node}.steps"], given[f"{node}.neurons"]] = 1
    for tool, model in (
        ("norse", from_nir(graph, dt=dt)),
        ("spikingjelly", import_from_nir(graph, dt=dt, dtype=torch.float64)),
    ):
        state, heard = None, [np.zeros(wanted.shape[1])]
        with torch.no_grad():
            for row in torch.from_numpy(rows):
                answer, state = model(row[None], state)
                heard.append(answer[0].numpy())
        found = np.array(heard[:steps])  # what a tool gives in a step acts in the next
        print(tool, int(found.sum()), int(np.count_nonzero(found != wanted[:steps])))


main(*sys.argv[1:])
