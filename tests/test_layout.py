"""The house holds its floors: no import climbs, no circle, and Brian2 stands in its own rooms.
Deferred and typing imports count."""

import ast
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "bioFA"
FLOORS = [
    {"names"},
    {"errors", "draws", "repr_html"},
    {"units", "optional", "ledger"},
    {"analysis", "system", "own_code"},
    {"components"},
    {"equations", "weights"},
    {"expressions"},
    {"distributions"},
    {"synapses"},
    {"tasks"},
    {"neurons", "rules"},
    {"network"},
    {"schemes", "measures"},
    {"experiment"},
    {"instance", "modelfiles"},
    {"consumers"},
    {"runs"},
    {"exchange", "comparisons"},
    {"verification"},
    {"show"},
    {"comparison", "cli"},
    {"selftest"},
    {"__main__"},
]
"""From the ground up: a room uses only rooms of lower floors. `__init__` is the face, which names what is public."""
BRIAN2 = ("consumers/brian/", "exchange/brian2_")
MOST_AT_THE_ROOT = 16
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and dotted name of everything that a file imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} is relative; name the room"
            own = node.module == "bioFA"
            found += [(node.lineno, f"bioFA.{alias.name}" if own else str(node.module)) for alias in node.names]
    return found


def rooms_of(path: Path) -> list[tuple[int, str]]:
    """Line and room of ours of everything that a file imports."""
    return [(line, name.split(".")[1]) for line, name in imports(path) if name.startswith("bioFA.")]


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} - {"__init__"} == set(HEIGHT)


@pytest.mark.parametrize(
    "path", [path for path in FILES if room(path) != "__init__"], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_import_climbs(path):
    mine = room(path)
    climbing = [
        f"line {line}: {other}"
        for line, other in rooms_of(path)
        if other in HEIGHT and other != mine and HEIGHT[other] >= HEIGHT[mine]
    ]
    assert climbing == []


def test_no_files_import_each_other_in_a_circle():
    names = {
        ".".join(("bioFA", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in FILES
    }
    uses = {}
    for name, path in names.items():
        told = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in names and room(path) != "__init__":
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(names)
                told |= inner or {node.module}
        uses[name] = told - {name}
    while free := [name for name, others in uses.items() if not others & set(uses)]:
        for name in free:
            del uses[name]
    assert sorted(uses) == []


def test_brian2_is_imported_in_its_own_rooms_alone():
    importing = {
        str(path.relative_to(PACKAGE)) for path in FILES for _, name in imports(path) if name.split(".")[0] == "brian2"
    }
    assert importing
    assert [path for path in sorted(importing) if not path.startswith(BRIAN2)] == []


def test_the_package_imports_nothing_that_only_a_checkout_has():
    beside = {path.parent.name for path in PACKAGE.parent.glob("*/__init__.py")} - {PACKAGE.name}
    assert {"benchmarks", "trial"} <= beside
    found = {str(path.relative_to(PACKAGE)): {name.split(".")[0] for _, name in imports(path)} for path in FILES}
    assert [path for path, names in found.items() if names & beside] == []


def test_the_root_holds_what_a_user_describes_and_little_else():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_ROOT


def test_every_room_is_in_the_wheel():
    named = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "packages"
    ]
    rooms = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in FILES}
    assert rooms <= set(named)
    assert set(named) - rooms == {"bioFA.consumers.brian.templates", "bioFA.models"}


def test_no_file_asks_which_kind_of_weights_or_circuit_it_has():
    """A kind states facts about itself, so that a new one is one class:
    nothing outside the files that define them looks at its class."""
    kinds = {"SharedWith", "PseudoInverseOf", "Redrawn", "Identity", "Layered"}
    asking = []
    for path in FILES:
        if str(path.relative_to(PACKAGE)) == "weights.py" or room(path) in ("network", "schemes"):
            continue
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        for call in calls:
            if call.func.id in ("isinstance", "issubclass") and kinds & {
                name.id for name in ast.walk(call.args[1]) if isinstance(name, ast.Name)
            }:
                asking.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert asking == []
