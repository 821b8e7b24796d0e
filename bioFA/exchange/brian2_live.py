"""A network as live Brian2 objects, for a `Network` of the user's own: monitors,
inputs and further populations can be added.

    live = bioFA.to_brian2(result, number=20)                      # the first 20 test examples, learning off
    spikes = brian2.SpikeMonitor(live.groups["hidden"])
    live.network.add(spikes)
    live.network.run(live.duration)

The objects are those of the exported script (`bioFA.exchange.brian2_script`, which says where in Brian2's schedule each
part of a step is): stock `NeuronGroup` and `Synapses`, with bioFA's names.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2
import numpy as np

from bioFA.consumers.brian.adapter import check_version
from bioFA.errors import OutOfRange, Unavailable, UnknownName
from bioFA.exchange.brian2_script import SHOWN, Script, stimulus_data, stripped
from bioFA.instance import Instance, draw
from bioFA.runs.result import Result
from bioFA.runs.trained import Trained, load_trained

Array = np.ndarray
PREFERENCES = Path("brian_preferences")
"""A file that Brian2, not bioFA, evaluates when it is imported in the folder that holds it."""


@dataclass(frozen=True)
class Live:
    """`groups` and `pathways` by bioFA's names, all of them in `network`; `duration` is that of all presentations.

    Values of a step, such as `r`, stand from Brian2's slot `start` to the next step's: a `StateMonitor` with
    `when="after_start"` records what bioFA records; a state such as `v` has then not yet advanced. A group's events
    `spike` are the spikes that it sends in this step, found by the threshold test of the step before.
    """

    groups: Mapping[str, Any]
    pathways: Mapping[str, Any]
    network: Any
    duration: Any
    steps: int
    """Steps of a presentation."""

    def weights(self, pathway: str) -> Array:
        """The weights of a pathway as they are now, `(n_post, n_pre)`; 0 where there is no synapse."""
        synapses = self.pathways[pathway]
        matrix = np.zeros((len(synapses.target), len(synapses.source)))
        matrix[synapses.j[:], synapses.i[:]] = synapses.w[:] if "w" in synapses.variables else 1.0
        return matrix


def to_brian2(
    source: Result | Trained | Instance | str | Path,
    split: str = "test",
    number: int | None = None,
    train: int | None = None,
) -> Live:
    """The live groups and pathways of a network, in Brian2's current device.

    Args:
        source: a run, what it left, or the file of either; or an instance, before learning.
        split: whose examples are shown, without learning.
        number: only the first so many of them.
        train: show this many training presentations instead, those that come next, and learn from them.

    Sets `brian2.defaultclock.dt` to the protocol's dt.

    Raises:
        ModelError: if the network cannot be written in equations of stock Brian2, or there is no such split.
    """
    check_version()
    if PREFERENCES.exists():
        warnings.warn(
            f"Brian2 runs what stands in {str(PREFERENCES.resolve())!r} when it is imported in that folder. If the file"
            " is not yours, remove it.",
            stacklevel=2,
        )
    if isinstance(source, (str, Path)):
        source = load_trained(source)
    if isinstance(source, Result):
        source = source.trained
    instance = source if isinstance(source, Instance) else draw(source.experiment, source.seed)
    if instance.experiment.free:
        raise Unavailable(
            f"live groups show examples, and in '{instance.experiment.name}' time passes without a task. Write the"
            " network in Brian2, or run it here."
        )
    late = [p.name for p in instance.network.pathways if p.listed or not p.delay.none]
    if late:
        raise Unavailable(
            f"live groups have no delays and no synapses that are listed one by one, as {', '.join(late)} of"
            f" '{instance.experiment.name}' would need. Run it here."
        )
    done = 0 if isinstance(source, Instance) else source.presentations
    splits = instance.data.splits()
    if train is not None and train < 1:
        raise OutOfRange(f"train must be >= 1, a number of presentations; got {train}.")
    if train is None and split not in splits:
        raise UnknownName(f"the task has no split '{split}'. Splits: {', '.join(splits)}.")
    script = Script(stripped(instance.experiment), instance.seed, tuple(splits))
    data = stimulus_data(script, instance, done, train or 1)
    rows = data["order"] if train is not None else np.arange(len(splits[split]))[:number]
    if not len(rows):
        raise OutOfRange(f"number must be >= 1; got {number}.")
    protocol = instance.experiment.protocol
    brian2.defaultclock.dt = protocol.step * brian2.second
    names: dict[str, Any] = {name: getattr(brian2, name) for name in script.imports()} | {
        "np": np,
        "data": data,
        "state": {**source.state, **{f"{name}.exists": mask for name, mask in instance.masks.items()}},
        "rows": rows,
        "during": slice(len(rows)),
        "split": "train" if train is not None else split,
        "training": train is not None,
        "first": done if train is not None else 0,
    }
    # our own text
    exec(
        compile(f"{SHOWN}\n{script.network_text()}", f"<{instance.experiment.name} as a Brian2 program>", "exec"), names
    )
    groups = {name: names[python] for name, python in script.populations.items()}
    pathways = {name: names[python] for name, python in script.pathways.items()}
    network = brian2.Network(*groups.values(), *pathways.values())
    return Live(groups, pathways, network, len(rows) * protocol.steps * protocol.step * brian2.second, protocol.steps)
