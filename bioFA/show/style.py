"""The style of all figures: colours, fonts and widths, and how a figure is written to files.

Colours are from Okabe & Ito's palette, which colour-blind readers tell apart; text stays text in PDF and SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bioFA.errors import CannotWrite
from bioFA.system.atomic import written_whole

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F"
STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "legend.fontsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
    "axes.formatter.useoffset": False,
    "axes.titlelocation": "left",
}
COLUMN, PAGE = 3.5, 7.0
"""Widths in inches of one column and of a page."""
DOTS_PER_INCH = 200
SUFFIXES = (".png", ".pdf", ".svg")
_UNDATED: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def write(figure: Figure, folder: Path, name: str, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Write one figure under every suffix, the same bytes for the same figure, and return the paths.

    Raises:
        FileError: if the folder cannot be written.
    """
    paths = [folder / f"{name}{suffix}" for suffix in suffixes]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
            for path in paths:
                with written_whole(path) as partial:
                    figure.savefig(
                        partial, format=path.suffix[1:], dpi=DOTS_PER_INCH, metadata=_UNDATED.get(path.suffix)
                    )
                with matplotlib.rc_context({"figure.constrained_layout.use": False}):
                    figure.set_layout_engine(None)  # laid out once: all files show the same, and are drawn once each
    except OSError as error:
        raise CannotWrite(
            f"the figures could not be written to '{folder}': {error}. Give one with space left."
        ) from None
    return paths


def as_text(text: str) -> str:
    """Text of a model as matplotlib shows it unchanged: a dollar is no mathematics."""
    return text.replace("$", r"\$")
