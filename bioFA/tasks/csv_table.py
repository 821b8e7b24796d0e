"""Columns out of a text table: .csv, .tsv, .txt, also packed (.csv.gz).
Every field of the file is in a column, or the file is refused with its line.

Separators are `,`, `;`, tabs, or spaces: the one that divides every line into equally many fields, two or more. The
first line holds the names, unless the file is said to have none. Nothing else is inferred: no index, no missing values
but empty fields.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from bioFA.errors import MalformedFile, WrongData, WrongKind
from bioFA.system.untrusted_walk import ALWAYS, RATIO
from bioFA.tasks.base import Array
from bioFA.tasks.given import rounded_in

SUFFIXES = (".csv", ".tsv", ".txt")
SEPARATORS = (",", ";", "\t", " ")
CALLED = {",": "a comma", ";": "a semicolon", "\t": "a tab", " ": "spaces"}
SPACED = re.compile(r'"(?:[^"]|"")*"(?=\s|$)|[^ \t\r\n]+')
"""A field between spaces: in quotes it may hold spaces."""
NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf(inity)?)", re.IGNORECASE)
WHOLE = re.compile("[+-]?[0-9]+")
FEWEST_COUNTED = 5
"""A column of fewer numbers 0, 1, 2, ... may be anything; of so many it is taken for the numbers of the rows."""


class Columns(NamedTuple):
    """A text table: `values[name]` `(n,)` of each column in the file's order, the line of the file, from 1, on which
    each row begins, `(n,)`, and the columns whose place in the line of names is empty."""

    values: dict[str, Array]
    lines: Array
    unnamed: tuple[str, ...] = ()


def is_text_table(path: str | Path) -> bool:
    """Whether a file is read here, by its name."""
    name = Path(path)
    return Path(name.stem if name.suffix.lower() == ".gz" else name.name).suffix.lower() in SUFFIXES


def read(
    path: str, place: str, header: bool | None = None, skip_lines: int = 0, decimal: str = ".", classes: str = ""
) -> Columns:
    """Every column of a text table by its name; `column_1`, `column_2`, ... where it has none.

    Args:
        path: the file.
        place: what names it in messages, such as "Arrays.path".
        header: whether the first line holds names; where None, it does, and must hold no number.
        skip_lines: lines before it that belong to something else.
        decimal: what stands before the fraction of a number, "." or ",".
        classes: the column that names a class in each row. It holds texts where numbers would make one class of
            several texts (01 and 1), or none of a text (inf).

    Raises:
        FileError: naming the line, if lines have different numbers of fields, names are missing or doubled,
            or it is no text.
    """
    import pandas as pd

    file = Path(path)
    try:
        with _opened(file, place) as text:
            for _ in range(skip_lines):
                text.readline()
            separator, first, lines = _layout(text, f"{place}: '{file}'", skip_lines, decimal)
            names, named = _names(first, f"{place}: '{file}'", header, skip_lines + 1)
            lines = lines[1:] if named else lines
            if not lines:
                raise WrongData(f"{place}: '{file}' has no lines below its names.")

            def parsed(**how: Any) -> pd.DataFrame:
                text.seek(0)
                for _ in range(lines[0] - 1):  # by lines, as they were counted: a name in quotes may hold a line end
                    text.readline()
                return pd.read_csv(
                    text,
                    sep=r"\s+" if separator == " " else separator,
                    header=None,
                    names=names,
                    index_col=False,
                    decimal=decimal,
                    keep_default_na=False,
                    na_values=[""],
                    skipinitialspace=True,
                    low_memory=False,
                    **how,
                )

            table = parsed()
            if classes in names and table[classes].to_numpy().dtype.kind in "iufb":
                written = parsed(usecols=[classes], dtype=str)[classes]
                if _are_no_numbers(written.to_numpy(), table[classes].to_numpy()):
                    table[classes] = written
    except UnicodeDecodeError:
        line = _first_undecoded(file, place)
        raise WrongKind(
            f"{place}: line {line} of '{file}' is no UTF-8 text. Save it as UTF-8, as spreadsheet programs offer, or"
            " with pandas: table.to_csv(path, index=False)."
        ) from None
    except (ValueError, OSError, EOFError, csv.Error, zlib.error) as error:
        raise WrongKind(
            f"{place}: '{file}' is not a text table with one line an example ({error}). Write it with pandas:"
            " table.to_csv(path, index=False)."
        ) from None
    if len(table) != len(lines):
        raise WrongKind(
            f"{place}: '{file}' has {len(lines)} lines of fields, but {len(table)} rows were read. Write it with"
            " pandas: table.to_csv(path, index=False)."
        )
    unnamed = tuple(name for name, given in zip(names, first, strict=True) if named and not given.strip())
    return Columns({name: table[name].to_numpy() for name in names}, np.array(lines), unnamed)


def _are_no_numbers(texts: Array, values: Array) -> bool:
    """Whether numbers tell the texts that stand in a column, missing ones aside, not all apart."""
    given = np.array([text == text for text in texts])
    found = values[given]
    different = {str(text).strip() for text in texts[given]}
    return not np.isfinite(found.astype(float)).all() or len(different) > len(np.unique(found))


def _opened(file: Path, place: str, errors: str = "strict") -> IO[str]:
    """The text of a file, unpacked where it is packed; `errors` as in `open`.

    Raises:
        FileError: if it unfolds out of proportion.
    """
    if file.suffix.lower() != ".gz":
        return file.open(encoding="utf-8-sig", newline="", errors=errors)
    most, unfolded = ALWAYS + RATIO * file.stat().st_size, 0
    with gzip.open(file) as packed:
        while part := packed.read(1 << 20):
            if (unfolded := unfolded + len(part)) > most:
                raise MalformedFile(
                    f"{place}: '{file}' unfolds to more than {most} bytes, and has {file.stat().st_size} itself. Get"
                    " the file anew, or from somebody you trust."
                )
    return gzip.open(file, "rt", encoding="utf-8-sig", newline="", errors=errors)


def _first_undecoded(file: Path, place: str) -> int:
    """The first line that is no UTF-8 text, from 1."""
    with _opened(file, place, "surrogateescape") as text:
        return next(
            number for number, line in enumerate(text, 1) if any("\udc80" <= letter <= "\udcff" for letter in line)
        )


class _Layout(NamedTuple):
    """How a separator divides a text: the fields of the first line, the line on which each row begins,
    and why it does not fit, if it does not."""

    first: list[str]
    lines: list[int]
    complaint: str = ""
    most: int = 0


def _layout(text: IO[str], place: str, skipped: int, decimal: str) -> tuple[str, list[str], list[int]]:
    """The separator, the fields of the first line, and the line on which each row begins.

    Raises:
        FileError: if no separator divides all lines alike, or several do.
    """
    start, found = text.tell(), {}
    for separator in SEPARATORS:
        text.seek(start)
        found[separator] = _divided(text, separator, skipped)
    if not any(layout.lines for layout in found.values()):
        raise WrongData(f"{place} is empty: a line of names, and one line an example, are expected.")
    fitting = {s: layout for s, layout in found.items() if not layout.complaint and len(layout.first) > 1}
    for doubtful in (" ", *(decimal if decimal == "," else "")):  # texts hold spaces, and such numbers commas
        if len(fitting) > 1:
            fitting.pop(doubtful, None)
    if len(fitting) > 1:
        raise WrongData(
            f"{place} can be read in {len(fitting)} ways: every line is divided alike by"
            f" {' and by '.join(CALLED[s] for s in fitting)}. Write it with one separator, and text that holds another"
            " in quotes."
        )
    if not fitting and (wrong := max(found.values(), key=lambda layout: layout.most)).complaint:
        raise WrongData(
            f"{place}: every line must have as many fields as the first; {wrong.complaint}. Give every line the same"
            " fields, or, where the first line is something else than names, skip_lines = 1, and header = false where"
            " no line holds names."
        )
    separator = next(iter(fitting or found))
    return separator, found[separator].first, found[separator].lines


def _divided(text: IO[str], separator: str, skipped: int) -> _Layout:
    """A text as one separator divides it, up to the first line that is divided otherwise."""
    first: list[str] = []
    lines: list[int] = []
    try:
        for line, fields in _records(text, separator, skipped):
            first = first or fields
            if len(fields) != len(first):
                complaint = (
                    f"line {line} has {len(fields)} fields, and line {lines[0]} has {len(first)}, divided by"
                    f" {CALLED[separator]}"
                )
                return _Layout(first, lines, complaint, max(len(fields), len(first)))
            lines.append(line)
    except csv.Error as error:
        return _Layout(
            first,
            lines,
            f"line {(lines or [skipped])[-1] + 1} cannot be divided by {CALLED[separator]} ({error})",
            len(first),
        )
    return _Layout(first, lines)


def _records(text: IO[str], separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The lines of fields with the number of the line on which each begins; a `#` before the first is no field."""
    first = True
    rows: Iterator[tuple[int, list[str]]]
    if separator == " ":
        rows = ((number, _spaced(line)) for number, line in enumerate(text, 1))
    else:
        rows = _quoted(csv.reader(text, delimiter=separator, skipinitialspace=True, strict=True))
    for number, fields in rows:
        if first and fields and fields[0].startswith("#"):
            fields = [fields[0][1:].lstrip(), *fields[1:]] if fields[0][1:].strip() else fields[1:]
        if fields:
            first = False
            yield skipped + number, fields


def _spaced(line: str) -> list[str]:
    """The fields of a line that are divided by spaces.

    Raises:
        csv.Error: if a quote is not closed.
    """
    fields = SPACED.findall(line)
    for at, field in enumerate(fields):
        if field.startswith('"'):
            if len(field) < 2 or not field.endswith('"'):
                raise csv.Error(f"a quote is not closed: {field}")
            fields[at] = field[1:-1].replace('""', '"')
    return fields


def _quoted(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a csv reader with the line on which each begins: a field in quotes may hold line ends."""
    before = 0
    for row in reader:
        yield before + 1, row
        before = reader.line_num  # type: ignore[attr-defined]


def _names(first: list[str], place: str, header: bool | None, line: int) -> tuple[list[str], bool]:
    """The names of the columns, and whether the first line held them."""
    numbered = [f"column_{number}" for number in range(1, len(first) + 1)]
    if header is False:
        return numbered, False
    if header is None and (numbers := [name for name in first if _is_number(name)]):
        raise WrongData(
            f"{place}: line {line} should hold the names of the columns, and holds the number {numbers[0]}. Where the"
            " file has no names, say header = false (columns are then called column_1, column_2, ...); where that is a"
            " name, header = true."
        )
    names = [name.strip() or numbered[at] for at, name in enumerate(first)]
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise WrongData(
            f"{place}: line {line} has the name '{doubled[0]}' {names.count(doubled[0])} times. Give every column a"
            " name of its own."
        )
    return names, True


def _is_number(text: str) -> bool:
    try:
        return float(text.replace(",", ".")) is not None
    except ValueError:
        return False


def counts_rows(values: Array) -> bool:
    """Whether a column holds 0, 1, 2, ... or 1, 2, 3, ...: the number of each row,
    which says nothing of an example but tells the class of sorted ones."""
    if values.dtype.kind not in "iuf" or len(values) < FEWEST_COUNTED:
        return False
    return bool(values[0] in (0, 1) and (values == np.arange(len(values)) + values[0]).all())


def first_text(values: Array, decimal: str) -> int | None:
    """The first row of a column that holds neither a number nor nothing."""
    if values.dtype.kind != "O":
        return None
    return next(
        (row for row, text in enumerate(_written(values, decimal)) if text and not NUMBER.fullmatch(text)), None
    )


def rounded_rows(values: Array) -> Array:
    """The rows of a column of whole numbers that float64 does not have."""
    if values.dtype.kind in "iu":
        return np.flatnonzero(rounded_in(values, values.astype(float)))
    if values.dtype.kind != "O":
        return np.empty(0, dtype=int)
    texts = _written(values, ".")
    if not all(WHOLE.fullmatch(text) for text in texts if text):
        return np.empty(0, dtype=int)  # fractions go to the nearest number, as everywhere
    return np.array([row for row, text in enumerate(texts) if text and _is_rounded(text)], dtype=int)


def numbers(values: Array, decimal: str) -> Array:
    """A column of numbers as float64; NaN where it holds nothing.
    pandas leaves texts where whole numbers are very large."""
    if values.dtype.kind != "O":
        return values.astype(float)
    return np.array([float(text or "nan") for text in _written(values, decimal)])


def _written(values: Array, decimal: str) -> list[str]:
    """What a column of texts holds, with a point before fractions."""
    swap = str.maketrans(".,", ",.") if decimal == "," else {}
    return ["" if value != value else str(value).strip().translate(swap) for value in values]


def _is_rounded(digits: str) -> bool:
    """Whether a whole number is another as float64."""
    number = float(digits)
    return np.isfinite(number) and Decimal(digits) != Decimal(number)
