"""The presentations of a run as trials: when each began and ended, what was shown, what was wanted,
and what was answered.

Where neurons spike these are the presentations of the kept activity (`activity.py`), run once more by the reference
with the last weights and learning off, so that they share its time; elsewhere the recorded presentations of the
learning itself. A static network has no times: its presentation k lasts from k to k + 1 ms, by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bioFA.consumers.reference import Reference
from bioFA.instance import Instance, draw
from bioFA.runs.result import Result

Array = np.ndarray


@dataclass(frozen=True)
class Trials:
    """`start` and `stop` in seconds, `example` in the training split, `(n,)` each; `target` and `answer` `(n, n_out)`;
    class `label` `(n,)` or None.

    `learning` says whether the network learned in them.
    """

    start: Array
    stop: Array
    example: Array
    target: Array
    answer: Array
    label: Array | None
    learning: bool

    @property
    def correct(self) -> Array | None:
        """Whether the largest answer is the label's, `(n,)`."""
        return None if self.label is None else self.answer.argmax(axis=1) == self.label


def trials(result: Result) -> Trials:
    """The trials of a run.

    Raises:
        FileError: if the task's data are no longer there.
    """
    instance = draw(result.experiment, result.seed)
    readout = str(instance.network.answer)
    if result.activity is None:
        at, answer = result.recording.at, result.recording.arrays[readout]
    else:
        at = np.arange(result.activity.presentations)
        feed = instance.training(0, len(at))
        answer = (
            Reference(instance)
            .segment(result.state, feed, learning=False, every=1, only=(readout,))
            .recording.arrays[readout]
        )
    example = _order(instance, at)
    protocol = result.experiment.protocol
    start = at * (protocol.steps * protocol.step)
    labels = instance.data.train.labels
    return Trials(
        start, start + protocol.shown_steps * protocol.step, example, instance.data.train.final(example), answer,
        None if labels is None else labels[example], result.activity is None,
    )


def _order(instance: Instance, at: Array) -> Array:
    """The example that each of some presentations shows."""
    first, last = int(at[0]), int(at[-1]) + 1
    return instance.order(first, last)[at - first]
