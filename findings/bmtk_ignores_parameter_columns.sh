#!/usr/bin/env bash
# bmtk's PointNet ignores parameters of neurons in columns of the node types.
#
# bmtk 1.2.0 with NEST 3.10.0. Edges read the same quantity from their own attributes, from the table of types, or from a file of parameters.
# One would guess that a column V_th in node_types.csv, as any `add_nodes(..., V_th=...)` writes it, overrides the V_th of the file that
# dynamics_params names. It is read, kept, and not handed to NEST; only the file counts, and nothing is told.
#
# Seen: 39 spikes with V_th = -50 mV in the file, and 39 with a column V_th = -69 mV beside it; with -69 mV in the file there are more.
# bioFA uses such a column, and says that bmtk does not (docs/formats/sonata.md).
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet bmtk==1.2.0 nest-simulator==3.10.0 "numpy<2.4"
cd "$scratch"
cat > run.py <<'PY'
import json
import sys
from pathlib import Path

import h5py
from bmtk.builder.networks import NetworkBuilder
from bmtk.simulator import pointnet

folder, in_file, in_column = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
(folder / "components" / "cells").mkdir(parents=True)
(folder / "components" / "synapses").mkdir()
cell = {"C_m": 200.0, "tau_m": 20.0, "E_L": -70.0, "V_reset": -75.0, "t_ref": 2.0, "I_e": 250.0, "V_th": in_file}
(folder / "components" / "cells" / "cell.json").write_text(json.dumps(cell))
network = NetworkBuilder("net")
columns = {"V_th": float(in_column[0])} if in_column else {}
network.add_nodes(N=1, model_type="point_neuron", model_template="nest:iaf_psc_exp", dynamics_params="cell.json", **columns)
network.build()
network.save_nodes(output_dir=str(folder / "network"))
(folder / "config.json").write_text(json.dumps({
    "manifest": {"$BASE": str(folder.absolute())},
    "run": {"tstop": 1000.0, "dt": 0.1},
    "target_simulator": "NEST",
    "components": {"point_neuron_models_dir": "$BASE/components/cells", "synaptic_models_dir": "$BASE/components/synapses"},
    "networks": {"nodes": [{"nodes_file": "$BASE/network/net_nodes.h5", "node_types_file": "$BASE/network/net_node_types.csv"}], "edges": []},
    "output": {"output_dir": "$BASE/output", "spikes_file": "spikes.h5", "log_file": "log.txt"},
}))
configuration = pointnet.Config.from_json(str(folder / "config.json"))
configuration.build_env()
pointnet.PointSimulator.from_config(configuration, pointnet.PointNetwork.from_config(configuration)).run()
with h5py.File(folder / "output" / "spikes.h5") as file:
    print(len(file["spikes/net/timestamps"]), (folder / "network" / "net_node_types.csv").read_text().split("\n")[0].count("V_th"))
PY
spikes() { env/bin/python run.py "$@" 2>/dev/null | tail -n 1; }
in_file=$(spikes a -50) with_column=$(spikes b -50 -69) other_file=$(spikes c -69)
echo "spikes, and columns V_th: file -50 mV: $in_file; file -50 and column -69 mV: $with_column; file -69 mV: $other_file"
[ "${in_file% *}" = "${with_column% *}" ] && [ "${with_column#* }" = 1 ] && [ "${other_file% *}" -gt "${in_file% *}" ]
