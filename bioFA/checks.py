"""Checks of a plasticity rule, anybody's: does a synapse know only its own two neurons and itself?

The same checks that bioFA's own rules pass in its tests. Two readings of the rule are compared too: its
Brian2 string, read by `expressions.py` and evaluated for one synapse after the other, and its NumPy `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bioFA.errors import WrongShape, WrongType
from bioFA.expressions import parse, right_side
from bioFA.rules import PlasticityRule

Array = np.ndarray
N_POST, N_PRE, DT = 4, 3, 1e-3
PRECISION = 1e-6
"""Largest difference, relative to the largest change, that rounding may leave (of a change that is small beside its weight)."""


@dataclass(frozen=True)
class Finding:
    """One check: whether the rule passes, or None where the check is not for it, and what was found."""

    check: str
    passes: bool | None
    found: str = ""

    def __str__(self) -> str:
        mark = {True: "ok", False: "FAILS", None: "-"}[self.passes]
        return f"  {mark:<6}{self.check}{f': {self.found}' if self.found else ''}"


@dataclass(frozen=True)
class RuleCheck:
    """What `check_rule` found."""

    rule: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether no check failed."""
        return all(finding.passes is not False for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join([f"{self.rule} {'passes' if self.passes else 'FAILS'}", *map(str, self.findings)])


class _Tissue:
    """A few neurons with all different values, and the rule's change of their synapses: of `w` first, then of what else they keep."""

    def __init__(self, rule: PlasticityRule):
        rng = np.random.default_rng(5)
        self.rule = rule
        self.synapses = {name: rng.normal(size=(N_POST, N_PRE)) for name in ("w", *rule.state, *(("w_partner",) if rule.needs_partner else ()))}
        self.pre = {name: rng.uniform(0.5, 1.5, N_PRE) for name in rule.reads_pre}
        self.post = {name: rng.uniform(0.5, 1.5, N_POST) for name in rule.reads_post}

    def change(self, rule: PlasticityRule | None = None, dt: float = DT, T: float = DT, **parts: Mapping[str, Array]) -> Array:
        """The change of each synaptic variable, `(n_post, n_pre, 1 + number of traces)`, with some parts of the tissue replaced."""
        synapses = {**self.synapses, **parts.get("synapses", {})}
        given, pre, post = _copies(synapses, parts.get("pre", self.pre), parts.get("post", self.post))
        new = (rule or self.rule).step(given, pre, post, dt, T)
        for name in ("w", *self.rule.state):
            if name not in new or np.shape(new[name]) != (N_POST, N_PRE):
                raise WrongShape(f"step must return {name} of shape (n_post, n_pre) = {(N_POST, N_PRE)}; got {np.shape(new[name]) if name in new else 'none'}.")
        return np.stack([np.asarray(new[name]) - synapses[name] for name in ("w", *self.rule.state)], axis=-1)


def _copies(*parts: Mapping[str, Array]) -> list[dict[str, Array]]:
    return [{name: array.copy() for name, array in part.items()} for part in parts]


def check_rule(rule: PlasticityRule) -> RuleCheck:
    """Hold a plasticity rule to what every rule here must respect.

    Locality (another neuron or synapse is disturbed, and this synapse's change stays the same),
    relabelling (neurons in another order: weights in that order), no error means no change (for
    rules that read one, apart from a decay), independence of dt and of the presentation's length, and
    agreement of the Brian2 string with `step`.

    Args:
        rule: an instance, such as `check_rule(MyRule(learning_rate=0.1))`.

    Raises:
        ModelError: if it is no plasticity rule.
    """
    if not isinstance(rule, PlasticityRule):
        raise WrongType(f"check_rule takes a plasticity rule; got {rule!r}. Give an instance, such as check_rule(MyRule()).")
    checks: dict[str, Callable[[_Tissue], str | None]] = {
        "a synapse changes": _moves,
        "the step leaves its arguments alone": _pure,
        "a synapse does not feel other postsynaptic neurons": _postsynaptic,
        "a synapse does not feel other presynaptic neurons": _presynaptic,
        "a synapse does not feel the weight of another": _other_weights,
        "relabelling neurons relabels weights": _relabelling,
        "no error leaves weights unchanged": _no_error,
        "neither dt nor the length of a presentation scales the change": _steps,
        "the Brian2 string and the step say the same": _string,
    }
    return RuleCheck(type(rule).__name__, tuple(_finding(name, check, rule) for name, check in checks.items()))


class _NotForIt(Exception):
    """A check that this rule is not for."""


def _finding(name: str, check: Callable[[_Tissue], str | None], rule: PlasticityRule) -> Finding:
    try:
        found = check(_Tissue(rule))
    except _NotForIt as reason:
        return Finding(name, None, str(reason))
    except Exception as error:  # the rule is anybody's
        return Finding(name, False, f"{type(error).__name__}: {error}")
    return Finding(name, found is None, found or "")


def _moves(tissue: _Tissue) -> str | None:
    change = tissue.change()
    if not np.isfinite(change).all():
        return "the change is not finite"
    return None if np.abs(change).min() > 0 else "some synapse does not change, although everything around it is active. Is its learning rate 0?"


def _pure(tissue: _Tissue) -> str | None:
    parts = (tissue.synapses, tissue.pre, tissue.post)
    given = _copies(*parts)
    tissue.rule.step(given[0], given[1], given[2], DT, DT)
    same = all(np.array_equal(part[name], kept[name]) for part, kept in zip(given, parts, strict=True) for name in kept)
    return None if same else "step writes into what it is given. Return a new array."


def _disturbed(variables: Mapping[str, Array], index: int) -> dict[str, Array]:
    """The same, but neuron `index` does something else."""
    return {name: np.where(np.arange(len(values)) == index, -7.0 * values, values) for name, values in variables.items()}


def _postsynaptic(tissue: _Tissue) -> str | None:
    moved = tissue.change(post=_disturbed(tissue.post, 1)) != tissue.change()
    return f"neuron 1 was disturbed, and synapses of {sorted({int(i) for i in np.argwhere(moved)[:, 0]} - {1})} moved" if np.delete(moved, 1, axis=0).any() else None


def _presynaptic(tissue: _Tissue) -> str | None:
    moved = tissue.change(pre=_disturbed(tissue.pre, 2)) != tissue.change()
    return f"neuron 2 was disturbed, and synapses from {sorted({int(j) for j in np.argwhere(moved)[:, 1]} - {2})} moved" if np.delete(moved, 2, axis=1).any() else None


def _other_weights(tissue: _Tissue) -> str | None:
    here = np.zeros((N_POST, N_PRE), dtype=bool)
    here[1, 2] = True
    step = {name: np.where(here, values + 9.0, values) for name, values in tissue.synapses.items()}
    moved = (tissue.change(synapses=step) != tissue.change()).any(axis=-1) & ~here
    return f"the synapse (1, 2) was disturbed, and {[tuple(map(int, at)) for at in np.argwhere(moved)]} moved" if moved.any() else None


def _relabelling(tissue: _Tissue) -> str | None:
    i, j = np.array([2, 0, 3, 1]), np.array([1, 2, 0])
    renamed = tissue.change(
        synapses={name: values[np.ix_(i, j)] for name, values in tissue.synapses.items()},
        pre={name: values[j] for name, values in tissue.pre.items()}, post={name: values[i] for name, values in tissue.post.items()},
    )
    return _differ(renamed, tissue.change()[np.ix_(i, j)])


def _no_error(tissue: _Tissue) -> str | None:
    if "error" not in tissue.post:
        raise _NotForIt("the rule reads no error")
    if not tissue.rule.error_driven:
        raise _NotForIt("the rule says that it is not driven by the error alone")
    settled = {"decay": 0.0} if "decay" in tissue.rule.parameters() and "decay" in type(tissue.rule).model_fields else {}
    change = tissue.change(tissue.rule.replace(**settled), post=tissue.post | {"error": np.zeros(N_POST)})[..., 0]
    return None if not change.any() else f"weights move by {np.abs(change).max():.2g} without an error"


def _steps(tissue: _Tissue) -> str | None:
    """The change of one step is its share dt / T of a presentation."""
    expected = tissue.change()[..., 0]
    for dt, T in ((DT, 5 * DT), (20 * DT, 20 * DT), (DT / 10, 3 * DT)):
        if found := _differ(tissue.change(dt=dt, T=T)[..., 0] * T / dt, expected):
            return f"with dt = {dt:g} s and T = {T:g} s {found}"
    return None


def _string(tissue: _Tissue) -> str | None:
    rule, T = tissue.rule, 5 * DT
    read = parse(right_side(rule.equations.strip().splitlines()[0].rpartition(":")[0], "dw/dt"))
    filters = {variable: (parse(drive), tau) for variable, (drive, tau) in rule.filters().items()}
    names_read = {name for part in (read, *(drive for drive, _ in filters.values())) for name in part.names}
    for ending, named in (("_pre", rule.reads_pre), ("_post", rule.reads_post)):
        used = {name.removesuffix(ending) for name in names_read if name.endswith(ending)}
        if used != set(named):
            return f"the string uses {sorted(used)} of the {ending[1:]} side, the rule says that it reads {sorted(named)}"
    expected = np.empty((N_POST, N_PRE, 1 + len(filters)))
    for i, j in np.ndindex(N_POST, N_PRE):
        values: dict[str, float] = rule.parameters() | {"T": T, "dt": DT}
        values |= {f"{name}_pre": float(array[j]) for name, array in tissue.pre.items()}
        values |= {f"{name}_post": float(array[i]) for name, array in tissue.post.items()}
        values |= {name: float(array[i, j]) for name, array in tissue.synapses.items()}
        towards = [(drive.evaluate(values) - values[variable]) * (1 - np.exp(-DT / values[tau])) for variable, (drive, tau) in filters.items()]
        expected[i, j] = [DT * read.evaluate(values), *towards]
    return _differ(tissue.change(T=T), expected)


def _differ(found: Array, expected: Array) -> str | None:
    gap, size = float(np.abs(found - expected).max()), float(np.abs(expected).max())
    return None if gap <= PRECISION * size else f"they differ by {gap:.2g}, where the largest change is {size:.2g}"
