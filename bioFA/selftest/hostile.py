"""Hostile input: texts that try to run, open or import something, or to use up the machine,
put to every reader of bioFA in a process of its own.

    python -m bioFA.selftest.hostile            count the outcomes
    python -m bioFA.selftest.hostile CASES      put the cases to their readers in this process, a line of JSON for each

A canary, Python's audit hook, notes every file opened, process, socket and import while a text is read. A case passes
if its text was refused by an error of bioFA's (or, where text is wanted, taken as text), nothing was noted,
and it took less than `LIMIT` seconds of the processor's time.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bioFA.errors import BioFAError
from bioFA.selftest.tally import Tally

LIMIT = 2.0
"""Seconds of the processor's time that one text may take, whatever else the machine does."""
LONGEST_MESSAGE = 3000
WATCHED = (
    "import",
    "exec",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "pty.spawn",
    "ctypes.dlopen",
    "shutil.rmtree",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.putenv",
    "pickle.find_class",
    "marshal.loads",
    "code.__new__",
)
"""What no text may bring about; opening a file is looked at apart."""
PYTHON = (
    "__import__('os').system('touch canary')",
    "__import__('subprocess').run(['touch', 'canary'])",
    "open('canary', 'w')",
    "exec('import os')",
    "eval('1')",
    "compile('1', '', 'eval')",
    "(lambda: open('canary', 'w'))()",
    "().__class__.__base__.__subclasses__()",
    "w.__class__",
    "w.__init__.__globals__",
    "getattr(w, '__class__')",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "breakpoint()",
    "input()",
    "help()",
    "[x for x in (1, 2)]",
    "{x: 1 for x in (1,)}",
    "(x for x in (1,))",
    "f'{w}'",
    "f'{__import__(\"os\")}'",
    "b'x'",
    "'x'.join('y')",
    "'a' * 10**9",
    "(w := 3)",
    "w if w else w",
    "w or w",
    "not w",
    "w is w",
    "w in w",
    "w[0]",
    "w[:]",
    "{**w}",
    "[*w]",
    "print(w)",
    "type(w)",
    "super()",
    "memoryview(w)",
    "10**10**10 + (yield)",
    "await w",
    "np.load('x')",
    "numpy.load('x')",
    "os.system('x')",
    "sys.exit()",
    "builtins.open",
    "exp.__self__",
    "exp.__globals__",
    "tanh.__module__",
    "int.__subclasses__()",
    "abs.__call__(w)",
    "lambda x: x",
    "w @ w",
    "~w",
    "w << 1",
    "w & w",
    "w // 2",
    "w % 2",
)
SYMPY_AND_BRIAN = (
    "S('__import__(\"os\")')",
    "sympify('1')",
    "Symbol('x')",
    "Function('f')(w)",
    "Integer(9)**Integer(9)",
    "rand()",
    "randn()",
    "poisson(w)",
    "timestep(t, dt)",
    "x : 1",
    "w : 1 (summed)",
    "dw/dt",
    "xi",
    "xi_1",
    "run_regularly('x')",
    "w_pre_post := 1",
    "TimedArray(w)",
    "brian2.prefs",
    "exprel(w)",
    "logical_and(w)",
    "w -> w",
    "@check_units",
    "w 1",
    "w ms",
    "3*ms",
    "second",
    "inf",
    "nan",
    "e",
    "pi",
)
CPLUSPLUS = (
    "w); system(\"touch canary\"); (w",
    "w; system(0)",
    "w /* */",
    "w // \n system(0)",
    "#include <cstdlib>",
    "%:include <x>",
    "??/",
    "std::system(\"x\")",
    "::exit(0)",
    "w->x",
    "*w",
    "&w",
    "w++",
    "--w + ;",
    "new int",
    "delete w",
    "sizeof(w)",
    "asm(\"nop\")",
    "__asm__(\"nop\")",
    "\"x\"",
    "'x'",
    "0x10p3",
    "1'000",
    "1e5f",
    "goto x",
    "w ? w : w",
    "w\\\nw",
    "L\"x\"",
    "R\"(x)\"",
    "_Pragma(\"x\")",
)
TEXT = (
    "\x00",
    "w\x00",
    "w\u200b",
    "\u202ew",
    "\uff57",
    "w\ufeff",
    "\x1b[31mw",
    "w\r\nw",
    "w\u2028w",
    "\\u0077\\x00(",
    "\ud7ff",
    "${w}",
    "{{w}}",
    "%s",
    "`w`",
    "$(touch canary)",
    "<script>alert(1)</script>",
    "'; DROP TABLE w; --",
    "../../etc/passwd",
    "|touch canary",
)
PAYLOADS = (*PYTHON, *SYMPY_AND_BRIAN, *CPLUSPLUS, *TEXT)
CONTEXTS = ("{}", "w + ({})", "exp({})", "int(({}) > 0)")
"""Where in an equation a payload stands."""
KNOWN = frozenset({"w", "r_pre", "error_post", "learning_rate", "T"})
"""The names that these equations may use."""
QUANTITIES = (
    "1 s**9**9**9",
    "1" + "0" * 5000 + " s",
    "1e" + "9" * 5000 + " s",
    "1e999 s",
    "-1e999 s",
    "nan s",
    "inf s",
    "1 second",
    "1 s; 1",
    "0x1 s",
    "1_0 s",
    "1j s",
    "\u0967 s",
)
"""Texts in place of a time."""
BOMBS = {
    "deep arrays": "x = " + "[" * 100_000 + "]" * 100_000,
    "deep tables": "[" + ".".join(["a"] * 20_000) + "]\nb = 1",
    "deep inline tables": "x = " + "{a=" * 20_000 + "1" + "}" * 20_000,
    "a key of half a million parts": "[" + ".".join(["a"] * 490_000) + "]",
    "a quoted key of many parts": "[" + ".".join(['","'] * 240_000) + "]",
    "an inline key of many parts": "x = { y = 1, " + ".".join(["a"] * 490_000) + " = 1 }",
    "a mistake after many empty lines": (
        "\n" * 500_000 + 'name = "x"\ntask = { name = "nope" }\ncircuit = { name = "layered", sizes = [1, 1] }'
    ),
    "a mistake after many remarks": (
        "#\n" * 150_000 + 'name = "x"\ntask = { name = "nope" }\ncircuit = { name = "layered", sizes = [1, 1] }'
    ),
    "mistakes in many lines": "\n".join(f"k{n} = 1" for n in range(9_000)),
    "a number of many digits": "x = " + "9" * 200_000,
    "many keys": "\n".join(f"k{n} = 1" for n in range(50_000)),
    "one long key": "k" * 500_000 + " = 1",
    "more than a model file": "# " + "x" * 2_000_000,
    "a name of many characters": 'name = "' + "n" * 500_000 + '"',
    "binary": "\x00\x01\x02",
}
"""Model files that would use up the machine."""
CONSTANTS = {
    "a chain without an end": "\n".join(f'c{n} = "= c{n + 1}"' for n in range(9_000)),
    "a chain that doubles": "c0 = 2\n" + "\n".join(f'c{n + 1} = "= c{n}*c{n}"' for n in range(1_900)),
    "a circle": 'a = "= b"\nb = "= a"',
    "a tower": 'a = "= ' + "9**" * 300 + '9"',
    "a unit of a high power": 'a = "= (mV*ms)**(9**9**9)"',
    "a constant of many digits": 'a = "' + "9" * 5000 + ' mV"',
    "an exponent of many digits": 'a = "1e' + "9" * 5000 + ' mV"',
    "many expressions": 'a = 1\n[b]\nc = [' + ",".join(f'"= a + {n}"' for n in range(50_000)) + "]",
    "neurons in a circle": "[neurons.a]\nname = 'b'\n[neurons.b]\nname = 'a'",
    "a long chain of neurons": "\n".join(f"[neurons.c{n}]\nname = 'c{n + 1}'\nx{n} = 1" for n in range(3_000)),
}
"""Constants and shared neurons that would use up the machine."""
CHANGES = (
    "",
    "=",
    "=1",
    "protocol",
    "protocol.epochs=",
    "protocol.epochs=" + "9" * 5000,
    "protocol.epochs=1e400",
    "protocol.epochs=nan",
    "protocol.epochs=" + "[" * 50_000,
    "protocol.epochs=" + "{a=" * 20_000,
    "protocol.epochs=" + '{"a":' * 2000,
    "protocol.dt=1 s**9**9",
    "a" + ".a" * 20_000 + "=1",
    ".=1",
    "..=1",
    "protocol..epochs=1",
    "__class__=1",
    "__class__.__base__=1",
    "protocol.__dict__={}",
    "name.x=1",
    "task.path=1",
    "circuit={}",
    "circuit=[]",
    "circuit.sizes=[9223372036854775808, 1, 1]",
    "circuit.sizes=[-1, 1, 1]",
    "circuit.schemes.fa.rule=1",
    "protocol.epochs=1979-05-27",
    "protocol.epochs='''",
    "protocol.epochs=\x00",
    "\x00=1",
    "name=['a']",
    "description=2",
    "task.name=../../evil",
    "task.name=__init__",
    "task.name=os",
    "circuit.name=builtins",
    "protocol.stop.measure=__class__",
)
"""What could stand after `--set`."""
_DIGEST = "0" * 64
MANIFESTS = {
    "UTF-16": "0\x00\n0",  # found by Atheris: json.loads of such bytes imports a codec
    "nothing": "",
    "no JSON": "{",
    "binary": "\x00\xff",
    "a list": "[]",
    "a number": "1",
    "files a list": '{"format": 1, "files": [[1, "x"]]}',
    "files a number": '{"format": 1, "files": 1}',
    "no files": '{"format": 1, "files": {}}',
    "format infinite": '{"format": 1e999, "files": {}}',
    "format NaN": '{"format": NaN, "files": {}}',
    "format a list": '{"format": [], "files": {}}',
    "format of many digits": '{"format": ' + "9" * 5000 + ', "files": {}}',
    "a newer format": '{"format": 2, "files": {}}',
    "deep lists": "[" * 100_000,
    "deep tables": '{"a":' * 100_000,
    "absolute": json.dumps({"format": 1, "files": {"/etc/passwd": _DIGEST}}),
    "above": json.dumps({"format": 1, "files": {"../../../../../../etc/passwd": _DIGEST}}),
    "null in a name": json.dumps({"format": 1, "files": {"a\x00b": _DIGEST}}),
    "a name of many characters": json.dumps({"format": 1, "files": {"n" * 100_000: _DIGEST}}),
    "the folder itself": json.dumps({"format": 1, "files": {".": _DIGEST}}),
    "an empty name": json.dumps({"format": 1, "files": {"": _DIGEST}}),
    "a digest that is none": json.dumps({"format": 1, "files": {"model.toml": 1}}),
    "a device": json.dumps({"format": 1, "files": {"/dev/zero": _DIGEST}}),
    "preferences of Brian2": json.dumps({"format": 1, "files": {"brian_preferences": _DIGEST}}),
}
"""Manifests of bundles."""


FILES = {"file": "model.toml", "manifest": "manifest.json"}
"""The readers of files, and what theirs are called."""


class Case(NamedTuple):
    """One hostile text, the reader that it is put to,
    and whether that must refuse it (it may be plain text to another)."""

    reader: str
    name: str
    text: str
    refused: bool = True


class Verdict(NamedTuple):
    """The outcome of a case: `error` is what the reader said, or None; `seen` what the canary noted;
    seconds of the processor's time it `took`."""

    error: str | None
    expected: bool
    seen: list[str]
    took: float

    @property
    def executed(self) -> bool:
        """Whether anything happened that the text brought about."""
        return bool(self.seen)

    def passes(self, case: Case) -> bool:
        """Whether it is as it must be."""
        kept = self.error is not None or not case.refused
        return (
            self.expected and kept and not self.seen and self.took < LIMIT and len(self.error or "") < LONGEST_MESSAGE
        )


def cases() -> list[Case]:
    """Every case, in a fixed order."""
    return [
        *(Case("equation", payload, context.format(payload)) for context in CONTEXTS for payload in PAYLOADS),
        *(Case("model", payload, payload) for payload in PAYLOADS),
        *(Case("expression", payload, payload, refused=False) for payload in PAYLOADS),
        *(Case("constants", name, text) for name, text in CONSTANTS.items()),
        *(Case("quantity", text[:40], text) for text in (*QUANTITIES, *PAYLOADS)),
        *(Case("name", payload, payload, refused=False) for payload in PAYLOADS),
        *(Case("file", name, text) for name, text in BOMBS.items()),
        *(Case("change", text[:40], text) for text in CHANGES),
        *(Case("manifest", name, text) for name, text in MANIFESTS.items()),
    ]


class Canary:
    """Notes what no reader may do while it watches.
    An audit hook stays as long as its process, so make one a process."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.took = 0.0
        self._watching, self._folder = False, ""
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def watching(self, folder: Path | None = None) -> Iterator[Canary]:
        """Forget what was noted, and watch; files in `folder` may be read."""
        self.seen, self._folder = [], "" if folder is None else str(folder)
        collects = gc.isenabled()
        gc.disable()  # what others left behind may take long to collect, and remove folders as it goes
        began, self._watching = time.process_time(), True
        try:
            yield self
        finally:
            self._watching, self.took = False, time.process_time() - began
            if collects:
                gc.enable()

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open":
            path, mode, flags = arguments
            reads = not set(mode or "") & set("wax+") and not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not (reads and self._folder and str(path).startswith(self._folder)):
                self.seen.append(f"open {path!r} {mode}")
        elif event in WATCHED:
            self.seen.append(f"{event} {str(arguments[:1])[:200]}")


def quoted(text: str) -> str:
    """Text as a TOML string, whatever is in it."""
    return json.dumps(text, ensure_ascii=True).replace("\x7f", "\\u007f")


def readers(folder: Path) -> dict[str, Callable[[str], object]]:
    """The readers by name; those of files find theirs in `folder`."""
    from bioFA import expressions
    from bioFA.exchange import bundle
    from bioFA.modelfiles import toml

    plain = toml.dumps(toml.load("linear", {"task.examples": 20, "task.test_examples": 5}))
    rule, size = 'name = "local_error"', "n_in = 30"
    assert rule in plain
    assert size in plain
    with contextlib.suppress(BioFAError):  # which packages have parts is read once, for an unknown name
        toml.load("linear", {"circuit": {}})

    def model(text: str) -> object:
        return toml.loads(plain.replace(rule, f'name = "equation"\nequation = {quoted("dw/dt = " + text)}'))

    def expression(text: str) -> object:
        named = "".join(f"{name} = 0.5\n" for name in sorted(KNOWN))
        given = quoted(f"= {text}")
        return toml.loads(plain.replace(size, f"n_in = {given}") + f"\n[constants]\n{named}")

    def constants(text: str) -> object:
        return toml.loads(f"{plain}\n[constants]\n{text}\n")

    def quantity(text: str) -> object:
        return toml.loads(plain.replace("[protocol]\n", f"[protocol]\ndt = {quoted(text)}\n"))

    def name(text: str) -> object:
        return toml.loads(plain.replace('name = "linear"', f"name = {quoted(text)}", 1))

    def change(text: str) -> object:
        key, value = toml.parse_change(text)
        table = toml.to_table(toml.loads(plain))
        toml._put(table, key, value)
        return toml.from_table(table)

    toml.loads(plain)
    return {
        "equation": lambda text: expressions.parse(text, KNOWN),
        "model": model,
        "expression": expression,
        "constants": constants,
        "quantity": quantity,
        "name": name,
        "change": change,
        "file": lambda _: toml.load(folder / FILES["file"]),
        "manifest": lambda _: bundle.check(folder),
    }


def put(case: Case, known: dict[str, Callable[[str], object]], canary: Canary, folder: Path) -> Verdict:
    """Put one case to its reader; files are in `folder`.
    One that took too long is put again: a machine may pause, a text that hangs does so twice."""
    verdict = _put(case, known, canary, folder)
    if verdict.took < LIMIT:
        return verdict
    again = _put(case, known, canary, folder)
    return again._replace(seen=verdict.seen + again.seen)


def _put(case: Case, known: dict[str, Callable[[str], object]], canary: Canary, folder: Path) -> Verdict:
    if case.reader in FILES:
        (folder / FILES[case.reader]).write_bytes(case.text.encode("utf-8", "surrogatepass"))
    error, expected = None, True
    with canary.watching(folder):
        try:
            known[case.reader](case.text)
        except BioFAError as refusal:
            error = str(refusal)
        except Exception as other:
            error, expected = f"{type(other).__name__}: {other}", False
    return Verdict(error, expected, canary.seen, canary.took)


def warm(known: dict[str, Callable[[str], object]]) -> None:
    """Let every reader refuse and take something, so that what it needs is imported before anybody watches."""
    for name, text in (
        ("equation", "w"),
        ("equation", "'"),
        ("model", "w"),
        ("model", "'"),
        ("expression", "w"),
        ("expression", "'"),
        ("constants", "a = 1\n[neurons.b]\nname = 'c'"),
        ("quantity", "1 m"),
        ("name", "x"),
        ("change", "protocol.epochs=2"),
        ("change", "task.name=x"),
        ("change", "circuit.schemes.fa.rule=1"),
    ):
        with contextlib.suppress(BioFAError):
            known[name](text)


def _put_all() -> None:
    with tempfile.TemporaryDirectory(prefix="biofa-hostile-") as scratch:
        folder = Path(scratch)
        os.chdir(folder)
        known, canary = readers(folder), Canary()
        warm(known)
        for case in cases():
            verdict = put(case, known, canary, folder)
            print(json.dumps(verdict), flush=True)
        left = {path.name for path in folder.iterdir()} - set(FILES.values())
        print(json.dumps(sorted(left)), flush=True)


def verdicts(timeout: float = 300.0) -> tuple[list[Verdict], list[str]]:
    """Put all cases to their readers in a process of its own: the outcome of each, up to where the process died
    or hung, and the files that it left."""
    command = [sys.executable, "-P", "-m", "bioFA.selftest.hostile", "CASES"]
    with tempfile.TemporaryFile("w+") as said:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, timeout=timeout, check=False)
        said.seek(0)
        rows = [json.loads(line) for line in said.read().splitlines()]
    count = len(cases())
    return [Verdict(*row) for row in rows[:count]], (
        rows[count] if len(rows) > count else ["unknown: it did not come to its end"]
    )


def run() -> Tally:
    """Put every case to its reader, and count those that passed.

    Returns:
        `notes` say how many brought anything about, how many took more than `LIMIT` seconds,
        and which cases did not pass.
    """
    every = cases()
    found, left = verdicts()
    passed = [verdict.passes(case) for case, verdict in zip(every, found, strict=False)]
    executed, hung = sum(verdict.executed for verdict in found) + len(left), sum(
        verdict.took >= LIMIT for verdict in found
    ) + (len(found) < len(every))
    failed = [f"{case.reader} {case.name!r}" for case, ok in zip(every, passed, strict=False) if not ok] + [
        f"not come to: {case.reader} {case.name!r}" for case in every[len(found) : len(found) + 1]
    ]
    return Tally(
        "hostile strings", sum(passed), len(every), (f"{executed} executed", f"{hung} hangs over {LIMIT:g} s", *failed)
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["CASES"]:
        _put_all()
    else:
        print(run())
