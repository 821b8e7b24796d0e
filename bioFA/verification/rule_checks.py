"""Checks of a plasticity rule, anybody's: does a synapse know only its own two neurons and itself?

The same checks that bioFA's own rules pass in its tests. They disturb everything around a synapse by small and by very
large values of both signs, in tissues of 1 to 10 neurons a side. Two readings of the rule are compared too: its
Brian2 string, read by `expressions.py` and evaluated for one synapse after the other, and its NumPy `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bioFA.errors import WrongShape, WrongType
from bioFA.expressions import parse, right_side
from bioFA.rules import PlasticityRule

Array = np.ndarray
Parts = Mapping[str, Array]
SIZES = tuple((n, 3 * n % 10 + 1) for n in range(1, 11))
"""`(n_post, n_pre)` of the tissues: every number of neurons from 1 to 10 on either side."""
DISTURBANCES = (-1e6, -30.0, -2.0, 0.0, 2.0, 30.0, 1e6)
"""What other neurons and synapses are set to."""
PLACES = 4
"""How many synapses of a tissue are disturbed, one after the other; neurons are all disturbed."""
DT = 1e-3
SPIKE = "s"
"""The published variable that is 1 in a step with a spike and else 0, whatever the length of the step."""
SETTLING, FAR = 20, 1e3
"""Without an error a rule is watched for so many steps, from weights as far from 0 as this."""
PRECISION = 1e-6
"""Largest difference, relative to the largest change,
that rounding may leave (of a change that is small beside its weight)."""
LOCAL, PARTNER, NOT_LOCAL = "local", "reads another pathway's weight", "not local"


@dataclass(frozen=True)
class RuleFinding:
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
    findings: tuple[RuleFinding, ...]

    @property
    def passes(self) -> bool:
        """Whether no check failed."""
        return all(finding.passes is not False for finding in self.findings)

    @property
    def verdict(self) -> str:
        """What a synapse needs to know: 'local', 'reads another pathway's weight', or 'not local'."""
        failed = {finding.check for finding in self.findings if finding.passes is False}
        return NOT_LOCAL if failed & _LOCALITY.keys() else PARTNER if failed & _ACROSS.keys() else LOCAL

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.rule} {'passes' if self.passes else 'FAILS'}: {self.verdict}", *map(str, self.findings)]
        )


class _Tissue:
    """A few neurons with all different values, and their synapses one step later: `w` first,
    then what else they keep."""

    def __init__(self, rule: PlasticityRule, shape: tuple[int, int], both_signs: bool):
        self.rng = np.random.default_rng([5, *shape, both_signs])
        self.rule, self.shape, self.both_signs = rule, shape, both_signs
        self.kept = ("w", *rule.state)
        self.synapses = {
            name: self.rng.normal(size=shape) for name in (*self.kept, *(("w_partner",) if rule.needs_partner else ()))
        }
        self.post, self.pre = (
            {name: self.activity(name, size) for name in names}
            for names, size in zip((rule.reads_post, rule.reads_pre), shape, strict=True)
        )

    def activity(self, name: str, size: int) -> Array:
        """Values of a variable that neurons publish."""
        if name == SPIKE:
            return self.rng.integers(0, 2, size).astype(float)
        return 3.0 * self.rng.normal(size=size) if self.both_signs else self.rng.uniform(0.5, 1.5, size)

    def after(self, dt: float = DT, T: float = DT, /, **parts: Parts) -> Array:
        """What each synapse keeps one step later, `(n_post, n_pre, 1 + number of traces)`,
        with some parts of the tissue replaced."""
        given, pre, post = _copies(*(parts.get(name, getattr(self, name)) for name in ("synapses", "pre", "post")))
        shape = given["w"].shape
        new = self.rule.step(given, pre, post, dt, T)
        for name in self.kept:
            if name not in new or np.shape(new[name]) != shape:
                got = np.shape(new[name]) if name in new else "none"
                raise WrongShape(f"step must return {name} of shape (n_post, n_pre) = {shape}; got {got}.")
        found = np.empty((*shape, len(self.kept)))
        for place, name in enumerate(self.kept):
            found[..., place] = new[name]
        return found

    def change(self, dt: float = DT, T: float = DT, /, **parts: Parts) -> Array:
        """The change of what each synapse keeps."""
        synapses = parts.get("synapses", self.synapses)
        return self.after(dt, T, **parts) - np.stack([synapses[name] for name in self.kept], axis=-1)

    def elsewhere(self, variables: Parts, here: Array) -> Iterator[dict[str, Array]]:
        """The same variables, set to something else where not `here`: to one value everywhere,
        or to its size with random signs."""
        for value in DISTURBANCES:
            yield {name: np.where(here, values, value) for name, values in variables.items()}
            yield {
                name: np.where(here, values, np.where(self.rng.random(values.shape) < 0.5, -value, value))
                for name, values in variables.items()
            }

    def __str__(self) -> str:
        return f"{self.shape[1]} to {self.shape[0]} neurons"


def _copies(*parts: Parts) -> list[dict[str, Array]]:
    return [{name: array.copy() for name, array in part.items()} for part in parts]


def _unequal(found: Array, expected: Array) -> Array:
    """Where two arrays differ, NaN being equal to NaN."""
    return (found != expected) & ~(np.isnan(found) & np.isnan(expected))


def check_rule(rule: PlasticityRule) -> RuleCheck:
    """Check a plasticity rule for what every rule here must respect.

    Locality (other neurons and synapses are disturbed, and this synapse's change stays the same; it reads no weight of
    another pathway, not even of its `partner`), relabelling (neurons in another order: weights in that order), no error
    means no change (for rules that read one, apart from a decay, which no activity may touch), equal steps make equal
    changes, independence of dt and of the presentation's length (a change for each spike, of a rule that reads `s`, is
    as large whatever dt is), and agreement of the Brian2 string with `step`.

    Args:
        rule: an instance, such as `check_rule(MyRule(learning_rate=0.1))`.

    Returns:
        `passes`; `verdict`, one of 'local', 'reads another pathway's weight' and 'not local'; and `findings`,
        one a check.

    Raises:
        ModelError: if it is no plasticity rule.
    """
    if not isinstance(rule, PlasticityRule):
        raise WrongType(
            f"check_rule takes a plasticity rule; got {rule!r}. Give an instance, such as check_rule(MyRule())."
        )
    return RuleCheck(type(rule).__name__, tuple(_finding(name, check, rule) for name, check in _CHECKS.items()))


class _DoesNotApply(Exception):
    """A check that this rule is not for."""


def _finding(name: str, check: Callable[[Sequence[_Tissue]], str | None], rule: PlasticityRule) -> RuleFinding:
    try:
        with np.errstate(all="ignore"):
            found = check([_Tissue(rule, shape, both_signs) for shape in SIZES for both_signs in (False, True)])
    except _DoesNotApply as reason:
        return RuleFinding(name, None, str(reason))
    except Exception as error:  # the rule is anybody's
        return RuleFinding(name, False, f"{type(error).__name__}: {error}")
    return RuleFinding(name, found is None, found or "")


def _everywhere(check: Callable[[_Tissue], str | None]) -> Callable[[Sequence[_Tissue]], str | None]:
    """A check of one tissue, made of all of them up to the first that fails."""

    def of_all(tissues: Sequence[_Tissue]) -> str | None:
        return next((f"{tissue}: {found}" for tissue in tissues if (found := check(tissue))), None)

    return of_all


def _moves(tissues: Sequence[_Tissue]) -> str | None:
    """Changes are finite where all activity is moderate, and some synapse does change: one with a threshold need not,
    everywhere."""
    changes = [tissue.change() for tissue in tissues]
    if any(
        not np.isfinite(change).all() for tissue, change in zip(tissues, changes, strict=True) if not tissue.both_signs
    ):
        return "the change is not finite"
    if not any(change[..., 0].any() for change in changes):
        return "no weight changes, although everything around it is active. Is its learning rate 0?"
    return None


@_everywhere
def _pure(tissue: _Tissue) -> str | None:
    parts = (tissue.synapses, tissue.pre, tissue.post)
    given = _copies(*parts)
    tissue.rule.step(given[0], given[1], given[2], DT, DT)
    same = all(np.array_equal(part[name], kept[name]) for part, kept in zip(given, parts, strict=True) for name in kept)
    return None if same else "step writes into what it is given. Return a new array."


@_everywhere
def _repeats(tissue: _Tissue) -> str | None:
    if not _unequal(tissue.after(), tissue.after()).any():
        return None
    return (
        "the same step was made twice, with two outcomes. A rule draws no numbers; let a noise source bring them, so"
        " that both consumers see the same."
    )


def _neurons(side: str, axis: int, synapses: str) -> Callable[[Sequence[_Tissue]], str | None]:
    """Whether a synapse feels neurons of one side that are not its own."""

    @_everywhere
    def check(tissue: _Tissue) -> str | None:
        variables, before = getattr(tissue, side), tissue.after()
        for index in range(tissue.shape[axis]):
            one = np.arange(tissue.shape[axis]) == index
            for kept in (one, ~one):
                for disturbed in tissue.elsewhere(variables, kept):
                    moved = np.compress(kept, _unequal(tissue.after(**{side: disturbed}), before), axis)
                    if moved.any():
                        others = "all others" if kept is one else f"neuron {index}"
                        value = next(iter(disturbed.values()))[~kept][0]
                        own = sorted({int(np.flatnonzero(kept)[at[axis]]) for at in np.argwhere(moved)})
                        return f"{others} were set to {value:g}, and synapses {synapses} {own} moved"
        return None

    return check


@_everywhere
def _other_weights(tissue: _Tissue) -> str | None:
    before, (n_post, n_pre) = tissue.after(), tissue.shape
    for place in tissue.rng.permutation(n_post * n_pre)[:PLACES]:
        one = (np.arange(n_post * n_pre) == place).reshape(tissue.shape)
        for kept in (one, ~one):
            for disturbed in tissue.elsewhere(tissue.synapses, kept):
                moved = _unequal(tissue.after(synapses=disturbed), before).any(axis=-1) & kept
                if moved.any():
                    at, here = divmod(int(place), n_pre), [tuple(map(int, at)) for at in np.argwhere(moved)]
                    return (
                        f"{'all synapses but' if kept is one else 'the synapse'} {at} had other weights and traces, and"
                        f" {here} moved"
                    )
    return None


@_everywhere
def _partner(tissue: _Tissue) -> str | None:
    if not tissue.rule.needs_partner:
        raise _DoesNotApply("the rule has no partner")
    before = tissue.after()
    for value in DISTURBANCES:
        if _unequal(tissue.after(synapses=tissue.synapses | {"w_partner": np.full(tissue.shape, value)}), before).any():
            return (
                "it reads w_partner, which no synapse can see. That is noise of its own in weight perturbation, and"
                " weight transport where the other pathway learns."
            )
    return None


@_everywhere
def _relabelling(tissue: _Tissue) -> str | None:
    i, j = (tissue.rng.permutation(n) for n in tissue.shape)
    renamed = tissue.change(
        synapses={name: values[np.ix_(i, j)] for name, values in tissue.synapses.items()},
        pre={name: values[j] for name, values in tissue.pre.items()},
        post={name: values[i] for name, values in tissue.post.items()},
    )
    return _differ(renamed, tissue.change()[np.ix_(i, j)])


@_everywhere
def _no_error(tissue: _Tissue) -> str | None:
    """From no trace of an error on: weights may relax, towards 0 or towards what the synapse keeps,
    but whatever the neurons do."""
    rule, shape = tissue.rule, tissue.shape
    if "error" not in rule.reads_post:
        raise _DoesNotApply("the rule reads no error")
    if not rule.error_driven:
        raise _DoesNotApply("the rule says that it is not driven by the error alone")
    for start in (FAR, 1.0, -1.0, -FAR):
        courses = []
        for _ in range(2):
            synapses = {
                **tissue.synapses,
                "w": np.full(shape, start),
                **{name: np.full(shape, value) for name, value in rule.state.items()},
            }
            course = []
            for _ in range(SETTLING):
                post, pre = (
                    {name: tissue.activity(name, n) for name in names}
                    for names, n in zip((rule.reads_post, rule.reads_pre), shape, strict=True)
                )
                after = tissue.after(
                    DT, SETTLING * DT, synapses=synapses, pre=pre, post=post | {"error": np.zeros(shape[0])}
                )
                synapses = synapses | dict(zip(tissue.kept, np.moveaxis(after, -1, 0), strict=True))
                course.append(synapses["w"])
            courses.append(np.stack(course))
        if _unequal(*courses).any():
            return f"weights move with activity by {np.nanmax(np.abs(courses[0] - courses[1])):.2g} without an error"
        if (np.sign(start) * (courses[0][0] - start) > 0).any():
            return f"weights of {start:g} grow by {np.abs(courses[0][0] - start).max():.2g} without an error"
    return None


@_everywhere
def _steps(tissue: _Tissue) -> str | None:
    """The change of one step is its share dt / T of a presentation; what a spike adds to it is independent of dt."""
    quiet = {
        side: {
            name: np.zeros_like(values) if name == SPIKE else values for name, values in getattr(tissue, side).items()
        }
        for side in ("pre", "post")
    }
    spikes = any(SPIKE in quiet[side] for side in quiet)
    lengths = ((DT, 5 * DT), (20 * DT, 20 * DT), (DT / 10, 3 * DT))
    expected = tissue.change(**quiet)[..., 0]
    jump = tissue.change()[..., 0] - expected
    for dt, T in lengths:
        share = tissue.change(dt, T, **quiet)[..., 0]
        if found := _differ(share * T / dt, expected):
            return f"with dt = {dt:g} s and T = {T:g} s {found}"
        added = tissue.change(dt, T)[..., 0] - share
        if spikes and (found := _differ(added, jump)) and _differ(added * T / DT, jump):
            return f"with dt = {dt:g} s and T = {T:g} s, in a step with a spike, {found}"
    return None


@_everywhere
def _string(tissue: _Tissue) -> str | None:
    rule, T = tissue.rule, 5 * DT
    read = parse(right_side(rule.equations.strip().splitlines()[0].rpartition(":")[0], "dw/dt"))
    filters = {variable: (parse(drive), tau) for variable, (drive, tau) in rule.filters().items()}
    names_read = {name for part in (read, *(drive for drive, _ in filters.values())) for name in part.names}
    for ending, named in (("_pre", rule.reads_pre), ("_post", rule.reads_post)):
        used = {name.removesuffix(ending) for name in names_read if name.endswith(ending)}
        if used != set(named):
            return (
                f"the string uses {sorted(used)} of the {ending[1:]} side, the rule says that it reads {sorted(named)}"
            )
    expected = np.empty((*tissue.shape, 1 + len(filters)))
    for i, j in np.ndindex(*tissue.shape):
        values: dict[str, float] = rule.parameters() | {"T": T, "dt": DT}
        values |= {f"{name}_pre": float(array[j]) for name, array in tissue.pre.items()}
        values |= {f"{name}_post": float(array[i]) for name, array in tissue.post.items()}
        values |= {name: float(array[i, j]) for name, array in tissue.synapses.items()}
        towards = [
            (drive.evaluate(values) - values[variable]) * (1 - np.exp(-DT / values[tau]))
            for variable, (drive, tau) in filters.items()
        ]
        expected[i, j] = [DT * read.evaluate(values), *towards]
    return _differ(tissue.change(DT, T), expected)


def _differ(found: Array, expected: Array) -> str | None:
    apart = _unequal(found, expected)
    if not apart.any():
        return None
    gap, size = float(np.abs(found - expected)[apart].max()), float(np.nanmax(np.abs(expected)))
    return None if gap <= PRECISION * size else f"they differ by {gap:.2g}, where the largest change is {size:.2g}"


_LOCALITY: dict[str, Callable[[Sequence[_Tissue]], str | None]] = {
    "a synapse does not feel other postsynaptic neurons": _neurons("post", 0, "of"),
    "a synapse does not feel other presynaptic neurons": _neurons("pre", 1, "from"),
    "a synapse does not feel the weight of another": _other_weights,
}
_ACROSS: dict[str, Callable[[Sequence[_Tissue]], str | None]] = {
    "a synapse reads no weight of another pathway": _partner
}
_CHECKS: dict[str, Callable[[Sequence[_Tissue]], str | None]] = {
    "a synapse changes": _moves,
    "the step leaves its arguments alone": _pure,
    "equal steps make equal changes": _repeats,
    **_LOCALITY,
    **_ACROSS,
    "relabelling neurons relabels weights": _relabelling,
    "no error leaves weights unchanged": _no_error,
    "neither dt nor the length of a presentation scales the change": _steps,
    "the Brian2 string and the step say the same": _string,
}
