"""How a thing shows itself in a notebook: whoever draws it registers how (`show/notebook.py`),
so that the thing need not know.

    @html.register                          in the module that draws
    def of_result(result: Result) -> str: ...
    drawn_by("bioFA.show.notebook")         by the package, which knows that module;
                                            it is imported when first something is shown
"""

from __future__ import annotations

import importlib
from functools import singledispatch
from typing import Any

_modules: list[str] = []


def drawn_by(module: str) -> None:
    """Name a module that registers how things show themselves."""
    _modules.append(module)


@singledispatch
def html(thing: Any) -> str | None:
    """HTML for a notebook, or None, after which a notebook prints the thing as text."""
    return None


def shown(thing: Any) -> str | None:
    """What `_repr_html_` returns: as `html`, with everything registered."""
    while _modules:
        importlib.import_module(_modules.pop())
    return html(thing)
