"""Spike trains and trials of a Neo block in a NIX file, and everything else in it by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bioFA.errors import DamagedFile, WrongData
from bioFA.ledger import Ledger
from bioFA.optional import Package
from bioFA.tasks.base import Array
from bioFA.tasks.recordings import Part, Recorded, Session, chosen, recorded

NEO = Package("Neo", "nixio", "neo")
SIGNALS = ("analogsignals", "irregularlysampledsignals", "imagesequences")


def read(path: Path, wanted: Sequence[str]) -> Session:
    """The spike trains of the first block, and the trials of its epochs or events, or its segments.

    Raises:
        FileError: if there are no spike trains, or others in another segment, or the file cannot be read.
    """
    NEO.require("reading a NIX file")
    neo = NEO.require("reading a NIX file", "neo.io")
    ledger = Ledger()
    try:
        with neo.NixIO(str(path), "ro") as io:
            blocks = io.read_all_blocks()
            for block in io.nix_file.blocks:
                ledger.holds(
                    "arrays of NIX",
                    {
                        array.name: int(np.prod(array.shape))
                        for array in block.data_arrays
                        if not array.type.startswith("neo.")
                    },
                )
    except Exception as error:  # nixio and Neo raise errors of many kinds about a damaged file
        raise DamagedFile(f"'{path}' is not a whole NIX file ({error}).") from None
    segments = (
        {number: segment for number, segment in enumerate(blocks[0].segments) if segment.spiketrains} if blocks else {}
    )
    if not segments:
        raise WrongData(
            f"'{path}': no segment {'of the first block ' if len(blocks) > 1 else ''}has spike trains. Put the spikes"
            " in as spike trains, and the trials as epochs."
        )
    known = [of.name or "" for segment in segments.values() for of in (*segment.epochs, *segment.events)]
    names = chosen(wanted, known, path, [epoch.name or "" for segment in segments.values() for epoch in segment.epochs])
    notes = list(_check_same(path, segments))
    _hold_rest(blocks, ledger)
    parts: list[Part] = []
    asked = _segment_columns(blocks[0].segments)
    first = next(iter(segments.values())).spiketrains
    for number, segment in enumerate(blocks[0].segments):
        where = f"segment {number} ('{segment.name or ''}')"
        _hold_segment(segment, where, names if number in segments else (), ledger)
        if number not in segments and not names:
            parts.append(
                _segment_trial(
                    segment,
                    number,
                    where,
                    [Recorded(np.empty(0), np.empty((0, 2)))] * len(first),
                    _unit_columns(first),
                    asked,
                )
            )
        if number in segments:
            units = [
                recorded(_seconds(train.times), np.array([[_seconds(train.t_start), _seconds(train.t_stop)]]))
                for train in segment.spiketrains
            ]
            here = list(_parts(segment, number, where, units, _unit_columns(segment.spiketrains), names, asked, ledger))
            if not here:
                ledger.holds(where, {"spikes": sum(len(unit.spikes) for unit in units)})
            parts += here
    return Session(
        parts,
        ledger,
        [f"spike trains of segment {number} ('{segment.name or ''}')" for number, segment in segments.items()],
        notes,
    )


def units(path: Path) -> list[Recorded]:
    """The spike trains of the one segment that has some, in whatever block.

    Raises:
        FileError: if none has, or several have, or the file cannot be read.
    """
    NEO.require("reading a NIX file")
    neo = NEO.require("reading a NIX file", "neo.io")
    try:
        with neo.NixIO(str(path), "ro") as io:
            blocks = io.read_all_blocks()
    except Exception as error:  # nixio and Neo raise errors of many kinds about a damaged file
        raise DamagedFile(f"'{path}' is not a whole NIX file ({error}).") from None
    segments = [segment for block in blocks for segment in block.segments if segment.spiketrains]
    if len(segments) != 1:
        of_blocks = f" of its {len(blocks)} blocks" if len(blocks) > 1 else ""
        raise WrongData(
            f"'{path}': {len(segments) or 'no'} segments{of_blocks} have spike trains; expected one. Write the spikes"
            " to be shown as one segment."
        )
    return [
        recorded(_seconds(train.times), np.array([[_seconds(train.t_start), _seconds(train.t_stop)]]))
        for train in segments[0].spiketrains
    ]


def _check_same(path: Path, segments: Mapping[int, Any]) -> Iterator[str]:
    """Say where a spike train has another name in another segment.

    Raises:
        WrongData: if there are more or fewer, or the same in another order.
    """
    begin, first = next(iter(segments.items()))
    names = [train.name for train in first.spiketrains]
    for number, segment in segments.items():
        if len(segment.spiketrains) != len(names):
            raise WrongData(
                f"'{path}': segment {number} ('{segment.name}') has {len(segment.spiketrains)} spike trains, and"
                f" segment {begin} ('{first.name}') has {len(names)}. Give every segment the same units, in the same"
                " order."
            )
        here = [train.name for train in segment.spiketrains]
        if here != names and sorted(map(str, here)) == sorted(map(str, names)):
            raise WrongData(
                f"'{path}': the spike trains of segment {number} ('{segment.name}') are those of segment {begin}"
                f" ('{first.name}') in another order: {', '.join(map(str, here))}. Give all the same order."
            )
        for train, (ours, theirs) in enumerate(zip(names, here, strict=True)):
            if ours != theirs:
                yield (
                    f"spike train {train} is '{ours}' in segment {begin} and '{theirs}' in segment {number}, and is"
                    " taken for the same unit"
                )


def _parts(
    segment: Any,
    number: int,
    where: str,
    units: Sequence[Recorded],
    of_units: Mapping[str, Array],
    names: Sequence[str],
    asked: Mapping[str, object],
    ledger: Ledger,
) -> Iterator[Part]:
    """The trials of a segment: its epochs and events of these names, or itself where there are none."""
    for kind, of in (*(("epoch", epoch) for epoch in segment.epochs), *(("event", event) for event in segment.events)):
        if (of.name or "") in names:
            yield _trials(of, f"{kind} '{of.name or ''}' of {where}", number, units, of_units, ledger)
    if not names:
        yield _segment_trial(segment, number, where, units, of_units, asked)


def _segment_columns(segments: Sequence[Any]) -> dict[str, object]:
    """The annotations of segments by name, each with what stands for it in a segment that lacks it: None for texts,
    NaN for numbers."""
    found: dict[str, object] = {}
    for segment in segments:
        for name, value in segment.annotations.items():
            if name != "nix_name":
                found[name] = None if isinstance(value, str) or found.get(name, 0) is None else np.nan
    return found


def _segment_trial(
    segment: Any,
    number: int,
    where: str,
    units: Sequence[Recorded],
    of_units: Mapping[str, Array],
    asked: Mapping[str, object],
) -> Part:
    """A segment as a trial, from where all of its units were recorded;
    it has every annotation that some segment has."""
    start = np.array([max((unit.recorded[0, 0] for unit in units if len(unit.recorded)), default=0.0)])
    values = {name: segment.annotations.get(name, missing) for name, missing in asked.items()}
    columns = {name: np.array([value]) for name, value in values.items() if np.ndim(value) == 0}
    other = [name for name in values if name not in columns]
    return Part(
        units, of_units, start, [f"segment {number}"], {"name": np.array([segment.name or ""])} | columns, where, other
    )


def _trials(
    of: Any, place: str, number: int, units: Sequence[Recorded], of_units: Mapping[str, Array], ledger: Ledger
) -> Part:
    """The trials of an epoch, or of events."""
    count, labels = len(of.times), np.asarray(of.labels)
    columns = {"name": np.full(count, of.name or "")} | ({"labels": labels.astype(str)} if len(labels) == count else {})
    columns |= {str(name): _plain(values) for name, values in of.array_annotations.items()}
    ledger.holds(
        place,
        {"times": count}
        | ({"durations": count} if hasattr(of, "durations") else {})
        | ({"labels": len(labels)} if len(labels) else {}),
    )
    ledger.holds(place, {str(name): len(values) for name, values in of.array_annotations.items()} | _annotations(of))
    return Part(
        units,
        of_units,
        _seconds(of.times),
        [f"trial {row} of '{of.name or ''}' in segment {number}" for row in range(count)],
        columns,
        place,
        (),
        "times",
        units_of=_not_times(of.array_annotations),
        stops=_seconds(of.times) + _seconds(of.durations) if hasattr(of, "durations") else np.empty(0),
    )


def _not_times(annotations: Mapping[str, Any]) -> dict[str, str]:
    """The units of the annotations that have one which is none of time."""
    units = {name: values.dimensionality for name, values in annotations.items() if hasattr(values, "dimensionality")}
    return {name: unit.string for name, unit in units.items() if unit.simplified.string not in ("s", "dimensionless")}


def _unit_columns(trains: Sequence[Any]) -> dict[str, Array]:
    """What annotations say of each spike train, one value each; `name` where none is an annotation."""
    names = dict.fromkeys(name for train in trains for name in train.annotations)
    values = {"name": [train.name or "" for train in trains]} | {
        name: [train.annotations.get(name, "") for train in trains] for name in names
    }
    return {name: np.array(of) for name, of in values.items() if all(np.ndim(value) == 0 for value in of)}


def _hold_rest(blocks: Sequence[Any], ledger: Ledger) -> None:
    """What stands in the first block beside its segments, and all of the others."""
    first = blocks[0]
    ledger.holds(
        f"block '{first.name or ''}'",
        _annotations(first) | {f"group '{group.name or ''}'": len(group.children) for group in first.groups},
    )
    for number, block in enumerate(blocks[1:], 1):
        held = {"segments": len(block.segments), **_annotations(block)}
        for kind in ("spiketrains", "epochs", "events", *SIGNALS):
            held |= {kind: count} if (count := sum(len(getattr(segment, kind)) for segment in block.segments)) else {}
        ledger.holds(f"block {number} ('{block.name or ''}')", held)


def _hold_segment(segment: Any, where: str, taken: Sequence[str], ledger: Ledger) -> None:
    """What a segment holds, but for the epochs and events that are taken."""
    ledger.holds(where, _annotations(segment))
    for kind in ("epochs", "events"):
        ledger.holds(
            where,
            {
                f"{kind[:-1]} '{of.name or ''}'": len(of.times)
                for of in getattr(segment, kind)
                if (of.name or "") not in taken
            },
        )
    for kind in SIGNALS:
        for of in getattr(segment, kind):
            ledger.holds(where, {f"signal '{of.name or ''}'": int(np.size(of))})
    place = f"spike trains of {where}"
    for train in segment.spiketrains:
        ledger.holds(place, {name: count for name, count in _annotations(train).items() if name != "sampling_rate"})
        ledger.holds(place, {f"{name} of spikes": len(values) for name, values in train.array_annotations.items()})
        for name, usual in (("waveforms", None), ("left_sweep", None), ("sampling_rate", 1.0)):
            value = getattr(train, name, None)
            if value is not None and (usual is None or float(value) != usual):
                ledger.holds(place, {name: int(np.size(value))})


def _annotations(of: Any) -> dict[str, int]:
    """The annotations of an object, its description and its dates, with the number of values."""
    held = {str(name): int(np.size(value)) for name, value in of.annotations.items() if name != "nix_name"}
    return held | {name: 1 for name in ("description", "rec_datetime", "file_datetime") if getattr(of, name, None)}


def _plain(values: Any) -> Array:
    """An array annotation without its unit; times in seconds."""
    if not hasattr(values, "dimensionality"):
        return np.asarray(values)
    try:
        return np.asarray(_seconds(values))
    except ValueError:
        return np.asarray(values.magnitude)


def _seconds(times: Any) -> Any:
    """Times of Neo in seconds; of float32 no more digit is lost."""
    return times.astype(float).rescale("s").magnitude
