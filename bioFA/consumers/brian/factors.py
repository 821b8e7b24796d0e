"""Take a plasticity rule apart: what only the postsynaptic side knows, the presynaptic rate, and decay.

A pathway from the stimulus can be updated in blocks, and one that is stored by presynaptic neuron row by row, if one
step of its rule is

    w += post pre - decay w

with `pre` one presynaptic variable, `post` free of the synapse and of the presynaptic side, and `decay` one number for
the whole pathway. That is found from the rule's own expression, with SymPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from brian2.parsing.sympytools import str_to_sympy, sympy_to_str


@dataclass(frozen=True)
class Factors:
    """Two Brian2 expressions, such that dw/dt = post * pre - decay * w."""

    post: str
    decay: str


def rests(expression: str, variable: str, parameters: set[str]) -> tuple[str, ...] | None:
    """Where an expression is 0 wherever one of its variables is 0, so that those places need no visit.

    Args:
        expression: in Brian2's words.
        variable: that variable.
        parameters: the names that are one number for the whole pathway.

    Returns:
        The parameters that must all be 0, too, such as a decay; none where it is so whatever they are.
        None where it is never so.
    """
    whole = str_to_sympy(expression)
    symbol = next((s for s in whole.free_symbols if s.name == variable), None)
    if symbol is None:
        return None
    rest = sympy.simplify(whole.subs(symbol, 0))
    alone = [s for s in rest.free_symbols if s.name in parameters and sympy.simplify(rest.subs(s, 0)) == 0]
    return () if rest == 0 else (alone[0].name,) if alone else None


def factorise(expression: str, parameters: set[str], presynaptic: str = "r_pre") -> Factors | None:
    """The factors of dw/dt, or None where it has not that form.

    Args:
        expression: the right-hand side of `dw/dt = ...`, in `w`, `r_pre`, `<name>_post` and parameters.
        parameters: the names that are one number for the whole pathway.
        presynaptic: the variable that stands for `r_pre`.
    """
    whole = sympy.expand(str_to_sympy(expression))
    symbols = {symbol.name: symbol for symbol in whole.free_symbols}
    w, rate = (symbols.get(name, sympy.Symbol(name, real=True)) for name in ("w", presynaptic))
    decay = -whole.coeff(w, 1)
    rest = sympy.expand(whole + decay * w)
    post = rest.coeff(rate, 1)
    if sympy.simplify(rest - post * rate) != 0 or post == 0:
        return None
    if not {symbol.name for symbol in decay.free_symbols} <= parameters:
        return None
    known = {name for name in symbols if name.endswith("_post")} | parameters
    if not {symbol.name for symbol in post.free_symbols} <= known:
        return None
    return Factors(sympy_to_str(post), sympy_to_str(decay))
