"""Results as one Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.networks import ratio
from benchmarks.variants import OTHER

PLAIN, STOCK, TORCH = "plain C++ loop", "stock Brian2 standalone", "PyTorch"


def markdown(results: dict[str, Any]) -> str:
    """The page: machine, then a table for each part that was run."""
    machine = results["machine"]
    cached = ", ".join(f"{level} {size // 1024} KB" for level, size in machine["caches"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    parts = [
        "# Benchmark results",
        (
            f"`{results['command']}`, {results['date']}. Medians of {results['repeats']} interleaved samples on one"
            " thread, with smallest and largest; raw values are in `results.json`."
        ),
        (
            f"Machine: {machine['processor']}, {machine['cores']} cores, caches {cached}, {machine['memory_gb']} GB,"
            f" {machine['system']}, {machine['compiler']}; load at the start {machine['load'][0]}. Versions:"
            f" {versions}."
        ),
        *([results["remark"]] if "remark" in results else []),
    ]
    sections: dict[str, Callable[[Any], str]] = {
        "race": race, "minibatch": minibatch, "builds": builds, "widths": widths, "lengths": lengths, "sweep": sweep,
        "memory": memory, "events": events, "exports": exports, "networks": networks, "scale": scale,
    }
    pictures = results.get("pictures", {})
    for name, section in sections.items():
        if name in results:
            parts += [section(results[name]), *(f"![{name}]({picture})" for picture in pictures.get(name, ()))]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first two columns are text, the others numbers."""
    rule = ["---" if column < 2 else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(one) + " |" for one in (head, rule, *rows))


def minibatch(rows: list[dict[str, Any]]) -> str:
    """Cost of a presentation of a batch, beside PyTorch."""
    return race(rows, "## Learning in batches: cost of one presentation, start-up excluded", TORCH)


ONLINE = "## Online learning by feedback alignment: cost of one presentation, start-up excluded"


def race(rows: list[dict[str, Any]], title: str = ONLINE, base: str = PLAIN) -> str:
    """Cost of a presentation, case by case, as multiples of a peer's (`base`) and of the other build's where there is
    one; who is missing, disagrees or was refused says so instead."""
    parts = [title]
    for case in dict.fromkeys(row["case"] for row in rows):
        here = [row for row in rows if row["case"] == case]
        lines = [_racer(row, here, base) for row in here]
        head = (
            "peer",
            "precision",
            "us a presentation",
            "min to max",
            f"x {base.replace(' C++', '')}, float64",
            f"x {base.replace(' C++', '')}, same precision",
            "x other build",
            "difference from reference",
            "peak MB (Python + program)",
            "remark",
        )
        parts += [f"### {case} ({here[0]['data']})", table(head, lines)]
    flags = sorted({(row["name"], row["flags"]) for row in rows if row.get("flags")})
    parts.append("Flags: " + "; ".join(f"{name}: `{given}`" for name, given in flags) + ".")
    others = sorted({f"{name} {version}" for row in rows for name, version in row.get("versions", {}).items()})
    parts.append(f"Versions of the peers: {', '.join(others)}.")
    parts.append(
        "A peer is timed only if its weights after the same presentations are the reference's, to 1e-10 (float64) or"
        " 1e-4 (float32) of the largest."
    )
    return "\n\n".join(parts)


def _racer(row: dict[str, Any], here: list[dict[str, Any]], base: str) -> tuple[str, ...]:
    gap = f"{row['difference']:.1e} ({row['checked']})" if "difference" in row else ""
    peak = " + ".join(f"{row[name] / 1024:.0f}" for name in ("peak_kb", "program_kb") if row.get(name))
    if row["status"] != "timed":
        return row["name"], row["precision"], f"**{row['status']}**", "", "", "", "", gap, peak, row["reason"]
    ratios = [_ratio(row, here, base, precision) for precision in ("float64", row["precision"])]
    ratios.append(_ratio(row, here, f"{row['name']}{OTHER}", row["precision"]))
    spread = f"{min(row['ns']) / 1e3:.3g} to {max(row['ns']) / 1e3:.3g}"
    return (
        row["name"],
        row["precision"],
        f"{row['median_ns'] / 1e3:.3g}",
        spread,
        *ratios,
        gap,
        peak,
        row.get("note", ""),
    )


def _ratio(row: dict[str, Any], here: list[dict[str, Any]], base: str, precision: str) -> str:
    """The median over rounds of a row's cost in a round to that of another row in the same round."""
    wanted = (base, precision, "timed")
    found = [one["ns"] for one in here if (one["name"], one["precision"], one["status"]) == wanted]
    return f"{paired(row['ns'], found[0]):.2f}" if found else ""


def paired(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over rounds of the ratio of two costs in the same round, which a machine's changes of speed leave as
    it is."""
    return median(a / b for a, b in zip(one, other, strict=True))


def builds(found: dict[str, Any]) -> str:
    """Cold builds and warm runs."""
    rows = [*found["cold"], *found["warm"]]
    lines = [(row["case"], row["name"], *_seconds(row), _cached(row)) for row in rows]
    return "## Builds\n\n" + table(("what", "by", "s", "min to max", "remark"), lines)


def exports(rows: list[dict[str, Any]]) -> str:
    """Time and size of exports, and Neo's as multiples of NWB's."""
    lines = [
        (
            row["case"],
            row["name"],
            *_seconds(row),
            f"{row['bytes'] / 1e6:.3g}",
            *(f"{row[of]:.2f}" if of in row else "" for of in ("times", "size")),
            row["reason"],
        )
        for row in rows
    ]
    head = ("result of", "to", "s", "min to max", "MB", "x NWB in time", "x NWB in size", "remark")
    return "## Exports of recordings, whole commands\n\n" + table(head, lines)


def _cached(row: dict[str, Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    if "cached" not in row:
        return f"cold: Python's start to a binary that can run; {median(row['cpu']):.3g} s of processor time"
    return (
        f"warm, whole process; cached in {sum(row['cached'])} of {len(row['cached'])} runs with another seed, rate,"
        " epochs or length"
    )


def _seconds(row: dict[str, Any]) -> tuple[str, str]:
    taken = row.get("seconds")
    return (f"{row['median_s']:.3g}", f"{min(taken):.3g} to {max(taken):.3g}") if taken else ("**missing**", "")


def widths(found: dict[str, Any]) -> str:
    """ns a synapse against width, and where the last-level cache ends."""
    rows = found["rows"]
    names = list(dict.fromkeys(row["name"] for row in rows))
    sizes = sorted({row["width"] for row in rows})
    cost = {
        (row["name"], row["width"]): (
            f"{row['ns_per_synapse']:.3f}" if row["status"] == "timed" else f"**{row['status']}**"
        )
        for row in rows
    }
    lines = [(str(size), f"{784 * size * 8 / 2**20:.1f}", *(cost[name, size] for name in names)) for size in sizes]
    end = found["last_level_cache"]
    words = (
        [
            f"The last-level cache ({end['cache']}, {end['bytes'] / 2**20:.0f} MB) is full of first-layer weights at a"
            f" width of {end['width_float64']}."
        ]
        if end
        else []
    )
    for name, flat in found["flatness"].items():
        if flat:
            later = flat["half_as_much_again_from"]
            slower = f"half as much again from width {later}" if later else "nowhere half as much again"
            words.append(
                f"{name}: {flat['ratio_300_to_3000']:.2f} between its dearest and cheapest from 300 to 3,000; {slower}."
            )
    return "\n\n".join((
        "## Cost against width: 784-width-10, float64, ns a synapse and presentation",
        table(("width", "weights MB", *names), lines),
        " ".join(words),
    ))


def lengths(rows: list[dict[str, Any]]) -> str:
    """Seconds against the number of presentations."""
    lines = [(row["name"], str(row.get("presentations", "")), *_seconds(row), row["reason"]) for row in rows]
    return (
        "## Whole runs of 30-20-10 against their length, start of the program included (the plain loop: its loop"
        " alone)\n\n"
        + table(("peer", "presentations", "s", "min to max", "remark"), lines)
    )


def sweep(rows: list[dict[str, Any]]) -> str:
    """Runs an hour."""
    lines = [
        (
            row["name"],
            f"{row['runs']} runs",
            *_seconds(row),
            f"{row['runs_per_hour']:,.0f}",
            f"{row['overhead_ms']:.1f}",
        )
        for row in rows
    ]
    return "## A sweep of short runs: `linear`, seed after seed\n\n" + table(
        ("how", "size", "s", "min to max", "runs an hour", "ms a run above the shell"), lines
    )


def memory(found: dict[str, Any]) -> str:
    """Peak memory."""
    if found["reason"]:
        return f"## Memory\n\nnot measured: {found['reason']}"
    line = (
        f"{found['presentations']} presentations",
        found["data"],
        *(f"{found[name]:.0f}" for name in ("data_mb", "python_mb", "program_mb")),
    )
    return "## Peak memory of a run of `mnist`\n\n" + table(
        ("run", "data", "data file MB", "Python MB", "compiled program MB"), [line]
    )


def scale(rows: Sequence[dict[str, Any]]) -> str:
    """What each size of the large network took."""
    lines = []
    for row in rows:
        cells = [f"{row['neurons']:,} neurons, {row['synapses']:.2g} synapses", row["way"]]
        if row["reason"]:
            cells += [row["reason"], "", "", ""]
        else:
            ratio = f"{row['to_off']:.2f}" if "to_off" in row else ""
            memory = f"{row['python_mb']:.0f}" + (f" + {row['program_mb']:.0f}" if row["program_mb"] else "")
            cells += [f"{row['ns_an_event']:.1f}", ratio, memory, f"{row['hz']:.1f}"]
        lines.append(cells)
    head = (
        "network", "simulator", "ns a synaptic event", "learning / off", "peak MB (Python + program)", "mean rate (Hz)",
    )
    return f"## A large network, one in ten of whose synapses learns\n\n{table(head, lines)}"


def events(found: dict[str, Any]) -> str:
    """Synaptic events a second, plastic updates, and biological time over wall time;
    and the same with weights that stay, beside NEST."""
    learning = _spiking(found, "ns a plastic update", STOCK)
    words = (
        f"A presentation lasts {1e3 * found['biological_s']:.0f} ms and holds {found['events']:,.0f} synaptic events,"
        f" each of which changes its synapse (input {found['input_hz']:.0f} Hz, hidden layer {found['hidden_hz']:.0f}"
        " Hz). ns a plastic update is all the time of a presentation over these events, neurons and feedback included."
        " A peer is timed only if its weights after the same spikes are the reference's."
    )
    parts = [f"## Event-driven learning: {found['rows'][0]['case']}, {found['rows'][0]['data']}", learning, words]
    if "frozen" in found:
        frozen = found["frozen"]
        parts += [
            f"### {frozen['rows'][0]['case']}",
            _spiking(frozen, "ns a synaptic event", "NEST"),
            (
                f"The same at a learning rate of 0, {frozen['events']:,.0f} synaptic events a presentation: NEST has no"
                " synapse that learns from an error. bioFA still computes every change and the feedback. It has"
                f" {frozen['hidden_spikes']:,.0f} hidden spikes in one pass through the input; NEST's are in the"
                " remark."
            ),
        ]
    return "\n\n".join(parts)


def networks(rows: list[dict[str, Any]]) -> str:
    """Free networks: what a simulated second costs, and beside stock Brian2 and NEST."""
    parts = ["## Networks in which time passes, with static weights: processor time of a simulated second"]
    head = (
        "network", "peer", "s of the processor", "min to max", "s of wall time", "Hz x neurons",
        "ns a synaptic event, neurons included", "times as fast as Brian2", "times as fast as NEST", "remark",
    )  # fmt: skip
    lines = []
    for row in rows:
        if not row["processor"]:
            lines.append((row["model"], row["name"], "**missing**", *[""] * 6, row["reason"]))
            continue
        taken = row["processor"]
        beside = [ratio(rows, row, base) for base in (STOCK, "NEST")]
        lines.append((
            row["model"],
            row["name"],
            f"{median(taken):.3g}",
            f"{min(taken):.3g} to {max(taken):.3g}",
            f"{median(row['wall']):.3g}",
            f"{row['spikes']:,.0f}",
            f"{1e9 * median(taken) / (row['spikes'] * row['synapses']):.2f}" if row["spikes"] else "",
            *(f"{one:.2f}" if one else "" for one in beside),
            ", ".join(f"{name} {version}" for name, version in row.get("versions", {}).items()),
        ))
    return "\n\n".join([*parts, table(head, lines)])


def _spiking(found: dict[str, Any], cost: str, base: str) -> str:
    rows, count, lasts = found["rows"], found["events"], found["biological_s"]
    beside = [row["median_ns"] for row in rows if row["name"] == base and row["status"] == "timed"]
    lines = []
    for row in rows:
        gap = f"{row['difference']:.1e} ({row['checked']})" if "difference" in row else ""
        if row["status"] != "timed":
            lines.append((row["name"], row["precision"], f"**{row['status']}**", *[""] * 5, gap, row["reason"]))
            continue
        taken = row["median_ns"]
        ratio = f"{beside[0] / taken:.2f}" if beside else ""
        lines.append((
            row["name"],
            row["precision"],
            f"{taken / 1e6:.3g}",
            f"{min(row['ns']) / 1e6:.3g} to {max(row['ns']) / 1e6:.3g}",
            f"{1e3 * count / taken:.0f}",
            f"{taken / count:.2f}",
            f"{1e9 * lasts / taken:.1f}",
            ratio,
            gap,
            row.get("note", ""),
        ))
    head = (
        "peer",
        "precision",
        "ms a presentation",
        "min to max",
        "million synaptic events a second",
        cost,
        "biological / wall time",
        f"times as fast as {base.removesuffix(' standalone')}",
        "difference from reference",
        "remark",
    )
    return table(head, lines)
