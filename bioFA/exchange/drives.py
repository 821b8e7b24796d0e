"""A script that computes from the weights of a file what they bring each population: of static units the whole answer,
of others the drive.

A format that holds weights and no neurons can be held to that: what neurons with a state sent in each step is given, as
the reference has it, and the drive that it brings through the weights must be the reference's.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from bioFA.exchange.base import forward, matrix
from bioFA.exchange.expected import Recipe, answers
from bioFA.instance import Instance
from bioFA.network import Node, Pathway
from bioFA.neurons.activations import ACTIVATIONS
from bioFA.neurons.counterparts import RateUnit
from bioFA.runs.trained import Trained

TOLERANCE = 1e-12
_COMPARE = """for name in [name for name in expected if name not in given]:
    array = expected[name]
    difference = float(abs(found[name] - array).max()) / max(float(abs(array).max()), 1e-300)
    print(f"{name}: differs by {difference:.2g}, relative to the largest")
    assert difference <= @TOLERANCE@, name
"""


def recipe(
    trained: Trained,
    drawn: Instance,
    programs: tuple[str, ...],
    opening: str,
    weight: Callable[[Pathway], str],
    bias: Callable[[Pathway], str | None] = lambda pathway: None,
) -> Recipe:
    """How the weights are run.

    Args:
        trained: the network.
        drawn: its instance.
        programs: what the script needs.
        opening: its first lines, which import exp and tanh from an array library in one line, and read `expected`, a
            dictionary of arrays, and the weights.
        weight: how it writes a pathway's weights, `(n_post, n_pre)`.
        bias: how it writes them as a vector `(n_post,)`, of a pathway that the file holds as one.
    """
    network, part = trained.experiment.network, forward(trained.experiment.network)
    given: list[Node] = []
    lines: list[str] = []
    computed: list[Node] = []
    extra = {}
    functions: set[str] = set()
    for population in part.populations:
        arriving = [p for p in part.pathways if p.target == population.name]
        terms = []
        for pathway in arriving:
            source = Node(pathway.source, pathway.carries)
            own, effective = trained.state.get(f"{pathway.name}.w"), matrix(trained, pathway)
            vector = bias(pathway) if network.population(pathway.source).neuron.shows == "one" else None
            if vector is not None:
                terms.append(vector)
                continue
            if source not in computed and source not in given:
                given.append(source)
            if pathway.weights.one_to_one:
                terms.append(f'{float(pathway.weights.parameters()["scale"])!r} * found["{source}"]')
            elif own is None or not np.array_equal(own, effective):  # another pathway's weights, or signs
                extra[f"{pathway.name}.weight"] = effective
                terms.append(f'found["{source}"] @ expected["{pathway.name}.weight"].T')
            else:
                terms.append(f'found["{source}"] @ {weight(pathway)}.T')
        if not terms:
            continue
        lines.append(f'found["{population.name}.drive"] = {" + ".join(terms)}')
        computed.append(Node(population.name, "drive"))
        kind = population.neuron.counterpart()
        if isinstance(kind, RateUnit) and kind.tau is None:
            phi = ACTIVATIONS[kind.activation].array_expression
            functions |= set(re.findall(r"\b[A-Za-z_]\w*", phi.replace("{u}", "")))
            drive = f'found["{population.name}.drive"]'
            lines.append(f'found["{population.name}.r"] = {phi.format(u=drive)}')
            computed.append(Node(population.name, "r"))
    arrays = {
        name: array.squeeze(1) if network.is_static() else array
        for name, array in answers(trained, drawn, [*given, *computed]).items()
    } | extra
    names = ", ".join(f'"{name}"' for name in [*map(str, given), *extra])
    script = "\n".join([
        _importing(opening.strip(), functions),
        f"given = [{names}]  # what is shown, and what neurons with a state sent",
        "found = {name: expected[name] for name in given}",
        *lines,
        _COMPARE.replace("@TOLERANCE@", f"{TOLERANCE:g}"),
    ])
    return Recipe(programs, "", script, f"{TOLERANCE:g} of the largest value of each array, in float64", arrays)


def _importing(opening: str, functions: set[str]) -> str:
    """Add the functions of activations to the line that imports exp and tanh."""

    def line(found: re.Match[str]) -> str:
        return f"{found[1]}{', '.join(sorted({*found[2].split(', '), *functions}))}"

    return re.sub(r"^(from \w+ import )(.*\btanh)$", line, opening, flags=re.MULTILINE)
