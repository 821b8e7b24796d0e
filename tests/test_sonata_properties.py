"""Drawn SONATA circuits: every weight and parameter is used as the files have it, everything else is told by its name,
or the circuit is refused by the name of what is wrong.

`BIOFA_EXAMPLES` draws more of them. The last test holds each row of the table in `docs/formats/sonata.md`.
"""

import json
import math
import os
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli, exchange
from bioFA.errors import BioFAError
from bioFA.exchange.sonata_timing import out_of_step
from bioFA.instance import draw
from bioFA.runs.trained import Trained

EXAMPLES = int(os.environ.get("BIOFA_EXAMPLES", "25"))
NEST = {
    "C_m": 250.0,
    "tau_m": 10.0,
    "E_L": -70.0,
    "V_th": -55.0,
    "V_reset": -70.0,
    "tau_syn_ex": 2.0,
    "t_ref": 2.0,
    "I_e": 0.0,
}
DT = 0.5
FAULTS = {
    "an edge to no node": "target_node_id",
    "an edge from no population": "elsewhere",
    "a weight missing": "syn_weight",
    "a type twice": "node_type_id 1",
    "a threshold of text": "V_th",
    "a threshold at rest": "E_L",
    "no capacity": "C_m",
    "two time constants": "tau_syn_in",
    "another model": "nest:aeif",
    "a step of zero": "dt",
    "a type that no table has": "type 77",
    "an index beyond": "edge_group_index",
    "edges to sources": "virtual",
    "a node twice": "node_id",
    "no ends": "source_node_id",
    "parameters missing": "cells.json",
    "weights of text": "syn_weight",
    "no types column": "node_type_id",
    "no node population": "node_population",
}
"""A fault, and the name in the file that its refusal must hold."""


def table(rows, key):
    """Rows `{id: {column: value}}` as a table of types with blanks between."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [
        [key, *columns],
        *([str(number), *(str(row.get(name, "NULL")) for name in columns)] for number, row in rows.items()),
    ]
    return "\n".join(" ".join(line) for line in lines) + "\n"


def write(folder, circuit):
    """The circuit `{nodes, edges, models, simulation}` as files, with h5py alone."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("nodes", "edges", "models"):
        (folder / name).mkdir(parents=True)
    entries = {}
    for kind in ("nodes", "edges"):
        one, entries[kind] = kind[:-1], []
        for name, part in circuit[kind].items():
            with h5py.File(folder / kind / f"{name}.h5", "w") as file:
                group = file.create_group(f"{kind}/{name}")
                for key, values in part["columns"].items():
                    group[key] = values
                for key, values in part.get("each", {}).items():
                    group[f"0/{key}"] = values
                for end, owner in part.get("ends", {}).items():
                    if end in group and owner is not None:
                        group[end].attrs["node_population"] = owner
            text = table(part["types"], f"{one}_type_id")
            (folder / kind / f"{name}.csv").write_text(part.get("spoil", lambda text: text)(text))
            entries[kind].append(
                {f"{kind}_file": f"$HERE/{kind}/{name}.h5", f"{one}_types_file": f"$HERE/{kind}/{name}.csv"}
                | part.get("entry", {})
            )
    for name, parameters in circuit["models"].items():
        (folder / "models" / name).write_text(json.dumps(parameters))
    configuration = {
        "manifest": {"$HERE": "."},
        "components": {"point_neuron_models_dir": "$HERE/models", "synaptic_models_dir": "$HERE/models"},
        "networks": entries | circuit.get("networks", {}),
    }
    (folder / "circuit_config.json").write_text(json.dumps(configuration | circuit.get("circuit", {})))
    if circuit["simulation"] is not None:
        (folder / "simulation_config.json").write_text(json.dumps(circuit["simulation"]))


def plain(weights=(100.0, 200.0, 300.0, 400.0), **simulation):
    """Two sources and two neurons, each with its own parameters file."""
    return {
        "nodes": {
            "in": {"columns": {"node_id": [0, 1], "node_type_id": [1, 1]}, "types": {1: {"model_type": "virtual"}}},
            "cells": {
                "columns": {"node_id": [0, 1], "node_type_id": [1, 1]},
                "types": {
                    1: {
                        "model_type": "point_neuron",
                        "model_template": "nest:iaf_psc_exp",
                        "dynamics_params": "cells.json",
                    }
                },
            },
        },
        "edges": {
            "in_cells": {
                "columns": {
                    "source_node_id": [0, 1, 0, 1],
                    "target_node_id": [0, 0, 1, 1],
                    "edge_type_id": [1, 1, 1, 1],
                    "edge_group_id": [0] * 4,
                    "edge_group_index": [0, 1, 2, 3],
                },
                "ends": {"source_node_id": "in", "target_node_id": "cells"},
                "each": {"syn_weight": list(weights)},
                "types": {1: {"model_template": "static_synapse", "delay": DT}},
            },
        },
        "models": {"cells.json": {"tau_syn_ex": 5.0, "tau_syn_in": 5.0}},
        "simulation": {"run": {"dt": DT}} | simulation,
    }


numbers = st.floats(0.5, 40.0).map(lambda value: round(value, 3))
words = st.sampled_from(["x", "y", "label", "ei", "location", "tuning_angle", "quantity"])


@st.composite
def circuits(draw):
    """A circuit, the told names with counts, and its fault, if it has one."""
    told = []
    circuit = plain()
    fault = None if draw(st.integers(0, 2)) else draw(st.sampled_from(sorted(FAULTS)))
    sizes = {"in": draw(st.integers(1, 3)), "cells": draw(st.integers(1, 4))}
    for name, size in sizes.items():
        ids = np.array(draw(st.permutations(range(size)))) + draw(st.sampled_from([0, 0, 5]))
        columns = {"node_id": ids, "node_type_id": np.ones(size, dtype=int)}
        if (ids == np.arange(size)).all() and draw(st.booleans()):
            del columns["node_id"]
        circuit["nodes"][name]["columns"] = columns
        circuit["nodes"][name]["ids"] = ids
        for word in draw(st.sets(words, max_size=2)):
            circuit["nodes"][name].setdefault("each", {})[word] = np.arange(size) * 1.0
            told.append(f"nodes '{name}', each: {word} ({size} value")
    cells = circuit["nodes"]["cells"]
    if sizes["cells"] > 1 and draw(st.booleans()):
        cells["columns"]["node_type_id"] = np.array(
            [2, 1, *draw(st.lists(st.sampled_from([1, 2]), min_size=sizes["cells"] - 2, max_size=sizes["cells"] - 2))]
        )
        cells["types"][2] = dict(cells["types"][1])
    parameters = circuit["models"]["cells.json"]
    for name in draw(st.sets(st.sampled_from(["C_m", "tau_m", "t_ref", "I_e"]))):
        parameters[name] = draw(numbers)
    if draw(st.booleans()):
        parameters |= {"E_L": -65.0, "V_th": -65.0 + draw(numbers), "V_reset": -65.0 - draw(numbers)}
    for name in draw(st.sets(st.sampled_from(["V_m", "rho", "delta", "n_channels"]))):
        parameters[name] = 0.5
        told.append(f"parameters of 'cells' (cells.json): {name} (1 value")
    for number, row in cells["types"].items():
        if draw(st.booleans()):
            row["tau_m"] = 6.0 + number + draw(numbers)
        if draw(st.booleans()):
            row["remark"] = "none"
    if count := sum("remark" in row for row in cells["types"].values()):
        told.append(f"nodes 'cells': remark ({count} value")
    edges = circuit["edges"]["in_cells"]
    joined = draw(
        st.lists(st.tuples(st.integers(0, sizes["in"] - 1), st.integers(0, sizes["cells"] - 1)), min_size=1, max_size=9)
    )
    count = len(joined)
    pre, post = (np.array(end) for end in zip(*joined, strict=True))
    order = np.array(draw(st.permutations(range(count))))
    edges["columns"] = {
        "source_node_id": circuit["nodes"]["in"]["ids"][pre],
        "target_node_id": cells["ids"][post],
        "edge_type_id": np.array(draw(st.lists(st.sampled_from([1, 2]), min_size=count, max_size=count))),
        "edge_group_id": np.zeros(count, dtype=int),
        "edge_group_index": order,
    }
    edges["types"][2] = dict(edges["types"][1])
    of = edges["columns"]["edge_type_id"]
    if draw(st.booleans()):
        edges["each"] = {
            "syn_weight": draw(st.lists(st.integers(-500, 500).map(float), min_size=count, max_size=count, unique=True))
        }
        weights = np.array(edges["each"]["syn_weight"])[order]
    else:
        edges["each"] = {}
        edges["types"][1]["syn_weight"], edges["types"][2]["syn_weight"] = draw(numbers), -draw(numbers)
        weights = np.array([edges["types"][number]["syn_weight"] for number in of])
    if draw(st.booleans()):
        nsyns = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
        edges["each"]["nsyns"] = nsyns
        weights = weights * np.array(nsyns)[order]
    if draw(st.booleans()):
        delays = np.array(draw(st.lists(st.sampled_from([DT, 1.5, 2.25]), min_size=count, max_size=count)))
        edges["each"]["delay"] = delays
        if others := int(np.sum(delays[order] != DT)):
            told.append(f"delay of edges 'in_cells': {others} values")
    for word in draw(st.sets(st.sampled_from(["weight", "afferent_section_id", "distance"]))):
        edges["each"][word] = np.arange(count) * 1.0
        told.append(f"edges 'in_cells', each: {word} ({count} value")
    for name, value in draw(
        st.dictionaries(st.sampled_from(["weight_function", "weight_sigma", "target_query"]), st.just("one"))
    ).items():
        edges["types"][1][name] = value
        if 1 in of:
            told.append(f"edges 'in_cells': {name} (1 value")
    for number in {1, 2} - set(map(int, of)):
        told.append(f"in_cells.csv: the type {number} is not used")
    if draw(st.booleans()) and 1 in of:
        edges["types"][1] |= {"model_template": "stdp_synapse", "dynamics_params": "synapse.json"}
        circuit["models"]["synapse.json"] = {"tau_plus": 20.0}
        told += ["stdp_synapse", "parameters of edges 'in_cells' (synapse.json): tau_plus (1 value"]
    for part in draw(st.sets(st.sampled_from(["inputs", "reports", "conditions", "node_sets"]))):
        circuit["simulation"][part] = {"one": {"module": "unheard"}}
        told.append(f"{part} of the simulation: one (1 value")
    if draw(st.booleans()):
        circuit["simulation"]["run"]["tstop"] = 100.0
        told.append("run of the simulation: tstop (1 value")
    expected = {
        "pre": pre,
        "post": post,
        "weights": weights,
        "types": cells["columns"]["node_type_id"],
        "ids": cells["ids"],
        "of_in": circuit["nodes"]["in"]["ids"],
    }
    if fault:
        spoil(circuit, fault)
    return circuit, told, fault, expected


def spoil(circuit, fault):
    """Put a fault into a circuit."""
    nodes, edges, parameters = circuit["nodes"], circuit["edges"]["in_cells"], circuit["models"]["cells.json"]
    cells = nodes["cells"]
    count = len(edges["columns"]["source_node_id"])
    match fault:
        case "an edge to no node":
            edges["columns"]["target_node_id"] = np.array([99, *edges["columns"]["target_node_id"][1:]])
        case "an edge from no population":
            edges["ends"]["source_node_id"] = "elsewhere"
        case "a weight missing":
            edges["each"]["syn_weight"] = [math.nan, *[1.0] * (count - 1)]
        case "weights of text":
            edges["each"]["syn_weight"] = ["much"] * count
        case "a type twice":
            cells["spoil"] = lambda text: text + text.splitlines()[1] + "\n"
        case "no types column":
            cells["spoil"] = lambda text: text.replace("node_type_id", "type")
        case "a threshold of text":
            parameters["V_th"] = "high"
        case "a threshold at rest":
            parameters |= {"V_th": -70.0, "E_L": -70.0, "V_reset": -80.0}
        case "no capacity":
            parameters["C_m"] = 0.0
        case "two time constants":
            parameters["tau_syn_in"] = 7.0
        case "another model":
            for row in cells["types"].values():
                row["model_template"] = "nest:aeif_cond_exp"
        case "a step of zero":
            circuit["simulation"]["run"]["dt"] = 0
        case "a type that no table has":
            cells["columns"]["node_type_id"] = np.full(len(cells["columns"]["node_type_id"]), 77)
        case "an index beyond":
            edges["columns"]["edge_group_index"] = np.full(count, 1000)
            edges["each"].setdefault("syn_weight", [1.0] * count)
        case "edges to sources":
            edges["ends"] = {"source_node_id": "cells", "target_node_id": "in"}
            edges["columns"] |= {
                "source_node_id": np.full(count, cells["ids"][0]),
                "target_node_id": np.full(count, nodes["in"]["ids"][0]),
            }
        case "a node twice":
            nodes["in"]["columns"] = {"node_id": [3, 3], "node_type_id": [1, 1]}
        case "no ends":
            del edges["columns"]["source_node_id"]
        case "no node population":
            edges["ends"]["target_node_id"] = None
        case "parameters missing":
            del circuit["models"]["cells.json"]


def parameters_of(circuit, number):
    """What iaf_psc_exp takes for a node type: NEST's own, those of the file, those of the types."""
    row = circuit["nodes"]["cells"]["types"][number]
    return (
        NEST
        | {key: value for key, value in circuit["models"]["cells.json"].items() if key in NEST}
        | {key: row[key] for key in NEST if key in row}
    )


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(circuits())
def test_a_drawn_circuit_is_used_told_or_refused(tmp_path_factory, drawn):
    circuit, told, fault, expected = drawn
    folder = tmp_path_factory.getbasetemp() / "drawn_circuit"
    write(folder, circuit)
    if fault:
        with pytest.raises(BioFAError) as refused:
            exchange.load(folder, "sonata")
        assert FAULTS[fault] in str(refused.value), (fault, str(refused.value))
        assert "not a whole SONATA circuit" not in str(refused.value)
        return
    found = exchange.load(folder, "sonata")
    for sentence in told:
        assert any(sentence in line for line in found.lost), (sentence, found.lost)
    network, several = found.trained.experiment.network, len(set(expected["types"])) > 1
    inputs = np.argsort(np.argsort(expected["of_in"]))
    for number in set(map(int, expected["types"])):
        name = f"cells_{number}" if several else "cells"
        given_, neuron = parameters_of(circuit, number), network.population(name).neuron
        assert neuron.tau == pytest.approx(1e-3 * given_["tau_m"])
        assert neuron.tau_syn == pytest.approx(1e-3 * given_["tau_syn_ex"], rel=2e-5)
        assert neuron.refractory_period == pytest.approx(1e-3 * DT * math.ceil(given_["t_ref"] / DT - 1e-9))
        distance = given_["V_th"] - given_["E_L"]
        assert neuron.v_reset == pytest.approx((given_["V_reset"] - given_["E_L"]) / distance)
        members = np.sort(expected["ids"][expected["types"] == number])
        weights = np.zeros((len(members), len(inputs)))
        for pre, post, weight in zip(expected["pre"], expected["post"], expected["weights"], strict=True):
            if expected["ids"][post] in members:
                weights[np.searchsorted(members, expected["ids"][post]), inputs[pre]] += weight
        # a spike moves I (in units of V_th - E_L) by weight R = weight tau_m / C_m there, by w / (unit_rate tau_syn)
        # here
        jump = weights * given_["tau_m"] / given_["C_m"] / distance
        pathway = f"input_to_{name}"
        if any(p.name == pathway for p in network.pathways):
            unit = network.population("input").neuron.max_rate
            np.testing.assert_allclose(
                found.trained.state[f"{pathway}.w"] / (unit * neuron.tau_syn), jump, rtol=1e-9, atol=1e-12
            )
        else:
            assert not any(expected["ids"][post] in members for post in expected["post"])
        tonic = f"bias_to_{name}"
        assert any(p.name == tonic for p in network.pathways) == bool(given_["I_e"])
        if given_["I_e"]:
            np.testing.assert_allclose(
                found.trained.state[f"{tonic}.w"], given_["I_e"] * given_["tau_m"] / given_["C_m"] / distance, rtol=1e-9
            )


# the table of attributes

PAGE = Path(__file__).parents[1] / "docs" / "formats" / "sonata.md"
ROW = re.compile(r"\| `(.+?)` \| (used|told|refused) \|")


def rows():
    return dict(ROW.findall(PAGE.read_text(encoding="utf-8"))) if PAGE.is_file() else {}


def in_types(kind, name, value):
    def change(circuit):
        part = circuit[kind][{"nodes": "cells", "edges": "in_cells"}[kind]]
        part["types"][1] = part["types"][1] | {name: value}
    return change


def in_columns(kind, name, values):
    def change(circuit):
        circuit[kind][{"nodes": "cells", "edges": "in_cells"}[kind]]["columns"][name] = values
    return change


def each(kind, name, values):
    def change(circuit):
        circuit[kind][{"nodes": "cells", "edges": "in_cells"}[kind]].setdefault("each", {})[name] = values
    return change


def in_model(**parameters):
    def change(circuit):
        circuit["models"]["cells.json"] |= parameters
    return change


def in_simulation(**parts):
    def change(circuit):
        circuit["simulation"] |= parts
    return change


def in_run(**parts):
    def change(circuit):
        circuit["simulation"]["run"] |= parts
    return change


def in_circuit(**parts):
    def change(circuit):
        circuit["circuit"] = parts
    return change


def in_entry(kind, **parts):
    def change(circuit):
        circuit[kind][{"nodes": "cells", "edges": "in_cells"}[kind]]["entry"] = parts
    return change


def owner(circuit):
    circuit["edges"]["in_cells"]["ends"]["source_node_id"] = "cells"


def junctions(circuit):
    circuit["networks"] = {"gap_juncs": [{"edges_file": "gap.h5"}]}


def delayed(circuit):
    circuit["edges"]["in_cells"]["types"][1]["delay"] = 3.0


def not_virtual(circuit):
    circuit["nodes"]["cells"]["types"][1]["model_type"] = "virtual"


def synapse(circuit):
    circuit["edges"]["in_cells"]["types"][1]["dynamics_params"] = "synapse.json"
    circuit["models"]["synapse.json"] = {"receptor_type": 1}


def other_models(circuit):
    circuit["circuit"] = {"components": {"point_neuron_models_dir": "elsewhere"}}


CHECKS = {
    "circuit: manifest": (in_circuit(manifest={"$HERE": "elsewhere"}), "elsewhere"),
    "circuit: components.point_neuron_models_dir": (other_models, "cells.json"),
    "circuit: components.synaptic_models_dir": (synapse, "synapse.json"),
    "circuit: components.morphologies_dir": (
        in_circuit(components={"point_neuron_models_dir": "models", "morphologies_dir": "m"}),
        "components of the circuit: morphologies_dir (1 value)",
    ),
    "circuit: networks.nodes.nodes_file": (in_entry("nodes", nodes_file="$HERE/nodes/in.h5"), "'in'"),
    "circuit: networks.nodes.node_types_file": (in_entry("nodes", node_types_file="NULL"), "node_types_file"),
    "circuit: networks.nodes.populations": (
        in_entry("nodes", populations={"cells": {"type": "virtual"}}),
        "networks.nodes of the circuit: populations (1 value)",
    ),
    "circuit: networks.edges.edges_file": (in_entry("edges", edges_file="$HERE/edges/none.h5"), "none.h5"),
    "circuit: networks.edges.edge_types_file": (
        in_entry("edges", edge_types_file="NULL"),
        "the delay of the edges in_cells",
    ),
    "circuit: networks.edges.populations": (
        in_entry("edges", populations={}),
        "networks.edges of the circuit: populations (1 value)",
    ),
    "circuit: networks, any other": (junctions, "networks of the circuit: gap_juncs (1 value)"),
    "circuit: node_sets_file": (in_circuit(node_sets_file="sets.json"), "node_sets_file of the circuit"),
    "circuit: version": (in_circuit(version=2), "version of the circuit"),
    "circuit: metadata": (in_circuit(metadata={"status": "partial"}), "metadata of the circuit: status"),
    "nodes: node_id": (in_columns("nodes", "node_id", [4, 5]), "target_node_id"),
    "nodes: node_type_id": (in_columns("nodes", "node_type_id", [1, 9]), "type 9"),
    "nodes: node_group_id": (in_columns("nodes", "node_group_id", [0, 0]), None),
    "nodes: node_group_index": (in_columns("nodes", "node_group_index", [0, 1]), None),
    "nodes: attributes of single nodes": (each("nodes", "x", [1.0, 2.0]), "nodes 'cells', each: x (2 values)"),
    "nodes: dynamics_params of single nodes": (
        each("nodes", "dynamics_params/V_th", [1.0, 2.0]),
        "nodes 'cells', each: dynamics_params/V_th (2 values)",
    ),
    "node types: model_type": (not_virtual, "no neurons"),
    "node types: model_template": (in_types("nodes", "model_template", "nrn:IntFire1"), "nrn:IntFire1"),
    "node types: dynamics_params": (in_types("nodes", "dynamics_params", "none.json"), "none.json"),
    "node types: pop_name": (in_types("nodes", "pop_name", "layer_4"), "nodes 'cells': pop_name (1 value)"),
    "node types: model_processing": (
        in_types("nodes", "model_processing", "aibs"),
        "nodes 'cells': model_processing (1 value)",
    ),
    "node types: any other column": (in_types("nodes", "ei", "e"), "nodes 'cells': ei (1 value)"),
    "node types: a column of a parameter below": (
        in_types("nodes", "C_m", 125.0),
        {"w": 2.0, "told": "C_m of the type 1 of the nodes 'cells'"},
    ),
    "parameters: C_m": (in_model(C_m=125.0), {"w": 2.0}),
    "parameters: tau_m": (in_model(tau_m=20.0), {"tau": 0.02}),
    "parameters: tau_syn_ex": (in_model(tau_syn_ex=3.0, tau_syn_in=3.0), {"tau_syn": 3e-3}),
    "parameters: tau_syn_in": (in_model(tau_syn_in=3.0), "tau_syn_in"),
    "parameters: E_L": (in_model(E_L=-85.0, V_reset=-85.0), {"w": 0.5}),
    "parameters: V_th": (in_model(V_th=-62.5), {"w": 2.0}),
    "parameters: V_reset": (in_model(V_reset=-77.5), {"v_reset": -0.5}),
    "parameters: t_ref": (in_model(t_ref=1.1), {"refractory_period": 1.5e-3}),
    "parameters: I_e": (in_model(I_e=10.0), "I_e"),
    "parameters: V_m": (in_model(V_m=-60.0), "cells.json): V_m (1 value)"),
    "parameters: rho, delta": (in_model(rho=0.1, delta=1.0), "cells.json): delta (1 value)"),
    "parameters: any other": (in_model(E_rev=0.0), "cells.json): E_rev (1 value)"),
    "edges: source_node_id": (in_columns("edges", "source_node_id", [0, 0, 0, 9]), "source_node_id"),
    "edges: target_node_id": (in_columns("edges", "target_node_id", [0, 0, 0, 9]), "target_node_id"),
    "edges: that lead back or past a layer": (owner, "timing of cells_to_cells"),
    "edges: node_population": (owner, {"pathway": "cells_to_cells"}),
    "edges: edge_type_id": (in_columns("edges", "edge_type_id", [5, 5, 5, 5]), "the type 1 is not used"),
    "edges: edge_group_id": (in_columns("edges", "edge_group_id", [3, 3, 3, 3]), "syn_weight"),
    "edges: edge_group_index": (in_columns("edges", "edge_group_index", [9, 9, 9, 9]), "edge_group_index"),
    "edges: indices": (in_columns("edges", "indices/source_to_target/range_to_edge_id", [[0, 1]]), None),
    "edges: syn_weight": (each("edges", "syn_weight", [200.0, 400.0, 600.0, 800.0]), {"w": 2.0}),
    "edges: nsyns": (each("edges", "nsyns", [2, 2, 2, 2]), {"w": 2.0}),
    "edges: delay": (each("edges", "delay", [1.0, 2.0, 3.0, 0.5]), "delays of 0.5, 1, 2, 3 ms"),
    "edges: any other attribute": (
        each("edges", "distance", [1.0, 2.0, 3.0, 0.5]),
        "edges 'in_cells', each: distance (4 values)",
    ),
    "edge types: syn_weight": (in_types("edges", "syn_weight", 7.0), None),
    "edge types: nsyns": (in_types("edges", "nsyns", 2), {"w": 2.0}),
    "edge types: delay": (delayed, "delays of 3 ms"),
    "edge types: model_template": (in_types("edges", "model_template", "tsodyks_synapse"), "tsodyks_synapse"),
    "edge types: dynamics_params": (synapse, "parameters of edges 'in_cells' (synapse.json): receptor_type (1 value)"),
    "edge types: weight_function": (
        in_types("edges", "weight_function", "wmax"),
        "edges 'in_cells': weight_function (1 value)",
    ),
    "edge types: weight_sigma": (in_types("edges", "weight_sigma", 50.0), "edges 'in_cells': weight_sigma (1 value)"),
    "edge types: source_query, target_query": (
        in_types("edges", "target_query", "*"),
        "edges 'in_cells': target_query (1 value)",
    ),
    "edge types: any other column": (in_types("edges", "colour", "red"), "edges 'in_cells': colour (1 value)"),
    "simulation: run.dt": (in_run(dt=0.25), {"dt": 0.25e-3}),
    "simulation: run.tstop": (in_run(tstop=900.0), "run of the simulation: tstop (1 value)"),
    "simulation: run, any other": (in_run(spike_threshold=-15.0), "run of the simulation: spike_threshold (1 value)"),
    "simulation: network": (in_simulation(network="circuit_config.json"), None),
    "simulation: inputs": (
        in_simulation(inputs={"clamp": {"module": "IClamp"}}),
        "inputs of the simulation: clamp (1 value)",
    ),
    "simulation: reports": (in_simulation(reports={"v": {}}), "reports of the simulation: v (1 value)"),
    "simulation: conditions": (
        in_simulation(conditions={"celsius": 34.0}),
        "conditions of the simulation: celsius (1 value)",
    ),
    "simulation: output": (in_simulation(output={"output_dir": "o"}), "output of the simulation: output_dir (1 value)"),
    "simulation: node_sets": (in_simulation(node_sets={"all": {}}), "node_sets of the simulation: all (1 value)"),
    "simulation: target_simulator": (
        in_simulation(target_simulator="NEST"),
        "the simulation: target_simulator (1 value)",
    ),
}
"""Each row of the page: what changes it in a file, and what must then be so: text in a refusal or in what is told,
or numbers of the network."""
HELD = {
    "nodes: node_group_id",
    "nodes: node_group_index",
    "edges: indices",
    "edge types: syn_weight",
    "simulation: network",
}
"""Used, and changed here to what they say anyway: the network must stay as it is, and nothing be told."""


def test_the_page_has_a_row_for_each_check_and_a_check_for_each_row():
    assert sorted(rows()) == sorted(CHECKS)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The circuit that each row changes, as it is read."""
    folder = tmp_path_factory.mktemp("before") / "after"
    write(folder, plain())
    return exchange.load(folder, "sonata")


@pytest.mark.parametrize("name", CHECKS)
def test_an_attribute_is_used_told_or_refused_as_the_page_says(name, before, tmp_path):
    change, expected = CHECKS[name]
    outcome, circuit = rows()[name], plain()
    change(circuit)
    write(tmp_path / "after", circuit)
    after, complaint = attempt(tmp_path / "after")
    if complaint:
        assert outcome in ("refused", "used"), complaint
        assert str(expected) in complaint
        return
    assert outcome != "refused"
    new = [line for line in after.lost if line not in before.lost]
    if name in HELD:
        assert new == []
        np.testing.assert_array_equal(after.trained.state["input_to_cells.w"], before.trained.state["input_to_cells.w"])
    elif isinstance(expected, str):
        assert any(expected in line for line in new), new
    else:
        assert outcome == "used"
        holds({key: value for key, value in expected.items() if key != "told"}, before.trained, after.trained)
        assert any(expected.get("told", "") in line for line in new or [""]), new


def attempt(folder):
    """What was imported, and what a refusal says."""
    try:
        return exchange.load(folder, "sonata"), ""
    except BioFAError as error:
        return None, str(error)


def holds(expected, before, after):
    """The numbers of the network are those that the change makes them."""
    network = after.experiment.network
    for key, value in expected.items():
        if key == "w":
            np.testing.assert_allclose(
                after.state["input_to_cells.w"], value * before.state["input_to_cells.w"], rtol=1e-12
            )
        elif key == "dt":
            assert after.experiment.protocol.step == pytest.approx(value)
        elif key == "pathway":
            assert network.pathway(value)
            assert f"{value}.w" not in before.state
        else:
            assert getattr(network.population("cells").neuron, key) == pytest.approx(value)
            assert getattr(before.experiment.network.population("cells").neuron, key) != pytest.approx(value)


def one_file(folder, name):
    """The circuit's and the simulation's configuration in one file, as bmtk writes them unless it is told otherwise."""
    circuit, simulation = folder / "circuit_config.json", folder / "simulation_config.json"
    (folder / name).write_text(json.dumps(json.loads(circuit.read_text()) | json.loads(simulation.read_text())))
    circuit.unlink()
    simulation.unlink()
    return folder / name


@pytest.mark.parametrize("given", ["the folder", "the file"])
def test_one_configuration_of_circuit_and_simulation_is_read(given, before, tmp_path):
    write(tmp_path / "after", plain(output={"output_dir": "o"}))
    file = one_file(tmp_path / "after", "config.pointnet.json")
    found = exchange.load(tmp_path / "after" if given == "the folder" else file, "sonata")
    assert found.trained.experiment.protocol.step == pytest.approx(1e-3 * DT)
    assert sorted(set(found.lost) - set(before.lost)) == ["output of the simulation: output_dir (1 value) is not used"]
    assert not set(before.lost) - set(found.lost)


def test_a_simulation_that_names_its_circuit_gives_the_step(tmp_path):
    write(tmp_path / "after", plain(network="circuit_config.json"))
    (tmp_path / "after" / "simulation_config.json").rename(tmp_path / "after" / "night.json")
    found = exchange.load(tmp_path / "after" / "night.json", "sonata")
    assert found.trained.experiment.protocol.step == pytest.approx(1e-3 * DT)


def test_of_several_configurations_none_is_guessed(tmp_path):
    write(tmp_path / "after", plain())
    file = one_file(tmp_path / "after", "config.day.json")
    (tmp_path / "after" / "config.night.json").write_text(file.read_text())
    with pytest.raises(BioFAError, match=r"config\.day\.json, config\.night\.json"):
        exchange.load(tmp_path / "after", "sonata")


def test_sources_of_several_types_keep_the_order_of_their_ids(before, tmp_path):
    circuit = plain()
    circuit["nodes"]["in"] |= {
        "columns": {"node_id": [0, 1], "node_type_id": [2, 1]},
        "types": {1: {"model_type": "virtual"}, 2: {"model_type": "virtual"}},
    }
    write(tmp_path / "after", circuit)
    np.testing.assert_array_equal(
        exchange.load(tmp_path / "after", "sonata").trained.state["input_to_cells.w"],
        before.trained.state["input_to_cells.w"],
    )


def test_which_neuron_is_which_node_is_told_where_types_part_them(tmp_path):
    circuit = plain()
    cells = circuit["nodes"]["cells"]
    cells["types"][2], cells["columns"] = cells["types"][1], {"node_id": [0, 1], "node_type_id": [2, 1]}
    write(tmp_path / "after", circuit)
    lost = exchange.load(tmp_path / "after", "sonata").lost
    assert (
        "node_id of the nodes 'cells' of the type 1 (1 value): in their order they are the neurons 0 to 0 of cells_1"
        in lost
    )
    assert (
        "node_id of the nodes 'cells' of the type 2 (1 value): in their order they are the neurons 0 to 0 of cells_2"
        in lost
    )


def halves(circuit, first, second):
    """Edges in two groups of attributes, two edges each."""
    edges = circuit["edges"]["in_cells"]
    edges["columns"] |= {"edge_group_id": [0, 0, 1, 1], "edge_group_index": [0, 1, 0, 1]} | {
        f"1/{key}": value for key, value in second.items()
    }
    edges["each"] = first


def test_edges_without_a_number_of_synapses_have_one(before, tmp_path):
    circuit = plain()
    halves(circuit, {"syn_weight": [100.0, 200.0], "nsyns": [3, 2]}, {"syn_weight": [300.0, 400.0]})
    write(tmp_path / "after", circuit)
    np.testing.assert_allclose(
        exchange.load(tmp_path / "after", "sonata").trained.state["input_to_cells.w"],
        before.trained.state["input_to_cells.w"] * [[3, 2], [1, 1]],
        rtol=1e-12,
    )


def test_edges_without_a_delay_among_others_are_counted(tmp_path):
    circuit = plain()
    del circuit["edges"]["in_cells"]["types"][1]["delay"]
    halves(circuit, {"syn_weight": [100.0, 200.0], "delay": [DT, 2.0]}, {"syn_weight": [300.0, 400.0]})
    write(tmp_path / "after", circuit)
    lost = exchange.load(tmp_path / "after", "sonata").lost
    assert any(
        line.startswith("the delay of 2 of the 4 edges in_cells, which give none: NEST takes 1 ms") for line in lost
    ), lost
    assert any("delay of edges 'in_cells': 1 values" in line for line in lost), lost


def test_weights_that_a_function_makes_are_refused_by_its_name(tmp_path):
    circuit = plain()
    del circuit["edges"]["in_cells"]["each"]["syn_weight"]
    circuit["edges"]["in_cells"]["types"][1]["weight_function"] = "wmax"
    write(tmp_path / "after", circuit)
    with pytest.raises(BioFAError, match="wmax") as refused:
        exchange.load(tmp_path / "after", "sonata")
    assert "damaged" not in str(refused.value)


def test_layers_in_a_row_are_in_step_and_a_way_past_one_is_not(tmp_path):
    assert out_of_step([("input", "a"), ("a", "b"), ("b", "c")], "input") == []
    (told,) = out_of_step([("input", "a"), ("a", "b"), ("input", "b"), ("b", "b")], "input")
    assert "timing of a_to_b, b_to_b, which lead back or past a layer" in told
    assert "1 step early" in told


def test_what_another_tool_changed_in_a_folder_of_ours_is_told(tmp_path):
    experiment = bioFA.load("digits_spiking")
    exchange.export(Trained(experiment, 1, 0, dict(draw(experiment, 1).state)), "sonata", tmp_path / "c")
    assert exchange.load(tmp_path / "c", "sonata").lost == ()
    model = tmp_path / "c" / "models" / "hidden.json"
    model.write_text(json.dumps(json.loads(model.read_text()) | {"V_th": 2.0, "rho": 0.1}))
    pathway = next(p.name for p in experiment.network.pathways if p.target == "hidden" and p.port == "drive")
    with h5py.File(tmp_path / "c" / "edges" / f"{pathway}.h5", "r+") as file:
        file[f"edges/{pathway}/0/delay"][3] = 7.0
        file[f"edges/{pathway}/0/distance"] = np.ones(4)
    lost = exchange.load(tmp_path / "c", "sonata").lost
    for sentence in (
        "(hidden.json): V_th was changed",
        "(hidden.json): rho was changed",
        f"edges '{pathway}': delay (1 values) was changed",
        f"edges '{pathway}', each: distance (4 values)",
    ):
        assert any(sentence in line for line in lost), (sentence, lost)


@pytest.mark.parametrize(
    ("parameters", "takes"), [({}, "NEST takes 1 ms"), ({"delay": 2.0}, "NEST takes that of dynamics_params")]
)
def test_edges_without_a_delay_are_told_with_the_one_that_nest_takes(parameters, takes, tmp_path):
    circuit = plain()
    del circuit["edges"]["in_cells"]["types"][1]["delay"]
    circuit["edges"]["in_cells"]["types"][1]["dynamics_params"] = "synapse.json"
    circuit["models"]["synapse.json"] = parameters
    write(tmp_path / "c", circuit)
    assert any(f"which give none: {takes}, and here" in line for line in exchange.load(tmp_path / "c", "sonata").lost)


def test_a_refusal_on_the_command_line_is_one_sentence(tmp_path):
    circuit = plain()
    spoil(circuit, "no capacity")
    write(tmp_path / "c", circuit)
    outcome = CliRunner().invoke(
        cli.main, ["import", str(tmp_path / "c"), "--from", "sonata", "--out", str(tmp_path / "o")]
    )
    assert outcome.exit_code == 2
    assert "C_m" in outcome.stderr
    assert "Traceback" not in outcome.stderr
