"""Hostile input: nothing that stands in a model file is executed, opened or imported, and nothing hangs.

A canary watches: an audit hook notes every file opened for writing, process, socket and import while a text is read, and the folder stays empty.
"""

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bioFA
from bioFA import cli
from bioFA.errors import BioFAError, ModelError
from bioFA.expressions import parse
from bioFA.files import loads

LIMIT = 2.0
"""Seconds that one text may take."""
WATCHED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "socket.bind", "pty.spawn", "ctypes.dlopen", "shutil.rmtree", "os.remove", "os.rename")
PYTHON = [
    "__import__('os').system('touch canary')", "__import__('subprocess').run(['touch', 'canary'])", "open('canary', 'w')", "exec('import os')", "eval('1')", "compile('1', '', 'eval')",
    "(lambda: open('canary', 'w'))()", "().__class__.__base__.__subclasses__()", "w.__class__", "w.__init__.__globals__", "getattr(w, '__class__')", "globals()", "locals()", "vars()", "dir()",
    "breakpoint()", "input()", "help()", "[x for x in (1, 2)]", "{x: 1 for x in (1,)}", "(x for x in (1,))", "f'{w}'", "f'{__import__(\"os\")}'", "b'x'", "'x'.join('y')", "'a' * 10**9", "(w := 3)",
    "w if w else w", "w or w", "not w", "w is w", "w in w", "w[0]", "w[:]", "{**w}", "[*w]", "print(w)", "type(w)", "super()", "memoryview(w)", "10**10**10 + (yield)", "await w", "np.load('x')", "numpy.load('x')",
    "os.system('x')", "sys.exit()", "builtins.open", "exp.__self__", "exp.__globals__", "tanh.__module__", "int.__subclasses__()", "abs.__call__(w)", "lambda x: x", "w @ w", "~w", "w << 1", "w & w", "w // 2", "w % 2",
]
SYMPY_AND_BRIAN = [
    "S('__import__(\"os\")')", "sympify('1')", "Symbol('x')", "Function('f')(w)", "Integer(9)**Integer(9)", "rand()", "randn()", "poisson(w)", "timestep(t, dt)", "x : 1", "w : 1 (summed)", "dw/dt", "xi", "xi_1", "run_regularly('x')",
    "w_pre_post := 1", "TimedArray(w)", "brian2.prefs", "exprel(w)", "logical_and(w)", "w -> w", "@check_units", "w 1", "w ms", "3*ms", "second", "inf", "nan", "e", "pi",
]
CPLUSPLUS = [
    "w); system(\"touch canary\"); (w", "w; system(0)", "w /* */", "w // \n system(0)", "#include <cstdlib>", "%:include <x>", "??/", "std::system(\"x\")", "::exit(0)", "w->x", "*w", "&w", "w++", "--w + ;", "new int", "delete w", "sizeof(w)",
    "asm(\"nop\")", "__asm__(\"nop\")", "\"x\"", "'x'", "0x10p3", "1'000", "1e5f", "goto x", "w ? w : w", "w\\\nw", "L\"x\"", "R\"(x)\"", "_Pragma(\"x\")",
]
TEXT = ["\x00", "w\x00", "w\u200b", "\u202ew", "\uff57", "w\ufeff", "\x1b[31mw", "w\r\nw", "w\u2028w", "\\u0077\\x00(", "\ud7ff", "${w}", "{{w}}", "%s", "`w`", "$(touch canary)", "<script>alert(1)</script>", "'; DROP TABLE w; --", "../../etc/passwd", "|touch canary"]
CONTEXTS = ["{}", "w + ({})", "exp({})", "int(({}) > 0)"]
PAYLOADS = [*PYTHON, *SYMPY_AND_BRIAN, *CPLUSPLUS, *TEXT]
KNOWN = {"w", "r_pre", "error_post", "learning_rate", "T"}

_seen: list[str] | None = None


def _hook(event, arguments):
    if _seen is None:
        return
    if event in WATCHED or event == "import":
        _seen.append(f"{event} {arguments[0]!r}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        _seen.append(f"open {arguments[0]!r} {arguments[1]}")


sys.addaudithook(_hook)


class Canary:
    """What happened while it watched."""

    def __enter__(self):
        global _seen
        _seen, self.began = [], time.perf_counter()
        return self

    def __exit__(self, *error):
        global _seen
        self.seen, self.took, _seen = _seen, time.perf_counter() - self.began, None


def test_the_canary_sees(tmp_path):
    with Canary() as canary:
        (tmp_path / "x").open("w").close()
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert [entry.split()[0] for entry in canary.seen if entry.split()[0] in ("open", "subprocess.Popen")] == ["open", "subprocess.Popen"]


def test_there_are_at_least_200_hostile_texts():
    assert len({context.format(payload) for context in CONTEXTS for payload in PAYLOADS}) >= 200
    assert len(set(PAYLOADS)) == len(PAYLOADS)


@pytest.mark.parametrize("context", CONTEXTS)
def test_hostile_text_is_refused_and_nothing_happens(context, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for payload in PAYLOADS:
        text = context.format(payload)
        with Canary() as canary:
            try:
                parse(text, KNOWN)
                complaint = None
            except ModelError as error:
                complaint = str(error)
        assert complaint is not None, text
        assert len(complaint) < 3000
        assert canary.seen == [], text
        assert canary.took < LIMIT, text
    assert list(tmp_path.iterdir()) == []


def test_hostile_text_in_a_model_file_is_refused_before_brian2_sees_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = bioFA.dumps(bioFA.load("linear"))
    loads(text)  # everything imported
    for number, payload in enumerate(p for p in PAYLOADS if p.isprintable()):
        equation = f"dw/dt = {payload}".replace("\\", "\\\\").replace('"', '\\"')
        hostile = text.replace('name = "local_error"', f'name = "equation"\nequation = "{equation}"')
        assert hostile != text
        with Canary() as canary, pytest.raises(BioFAError):
            loads(hostile)
        assert canary.seen == [], payload
        assert canary.took < LIMIT, payload
        if number % 20 == 0:
            (tmp_path / "m.toml").write_text(hostile)
            outcome = CliRunner().invoke(cli.main, ["run", "m.toml", "--backend", "numpy", "--out", "out"])
            assert outcome.exit_code == 2, (payload, outcome.output)
    assert {path.name for path in tmp_path.iterdir()} == {"m.toml"}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
@example("(" * 120 + "w" + ")" * 120)
@example("w" + " + w" * 240)
@example("9" * 900)
@example("9**" * 300 + "9")
def test_any_text_is_read_or_refused_and_nothing_happens(text):
    with Canary() as canary:
        try:
            written = parse(text, KNOWN).text
        except ModelError:
            written = ""
    assert canary.seen == []
    assert canary.took < LIMIT
    assert set(written) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.+-*/()<>=, ")


BOMBS = {
    "deep arrays": "x = " + "[" * 100_000 + "]" * 100_000,
    "deep tables": "[" + ".".join(["a"] * 20_000) + "]\nb = 1",
    "deep inline tables": "x = " + "{a=" * 20_000 + "1" + "}" * 20_000,
    "a number of many digits": "x = " + "9" * 200_000,
    "many keys": "\n".join(f"k{n} = 1" for n in range(50_000)),
    "one long key": "k" * 500_000 + " = 1",
    "more than a model file": "# " + "x" * 2_000_000,
    "a name of many characters": 'name = "' + "n" * 500_000 + '"',
    "binary": "\x00\x01\x02",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_would_use_up_the_machine_is_refused_at_once(bomb, tmp_path):
    (tmp_path / "bomb.toml").write_text(BOMBS[bomb])
    began = time.perf_counter()
    outcome = CliRunner().invoke(cli.main, ["show", str(tmp_path / "bomb.toml")])
    assert outcome.exit_code == 2, (outcome.exception, outcome.output[:300])
    assert time.perf_counter() - began < 10
    assert len(outcome.stderr) < 5000


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", "..", "~", "a\\b", "-rf", "con", "a\nb"])
def test_a_name_never_leads_out_of_the_folder_of_results(name, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = bioFA.dumps(bioFA.load("linear", {"task.examples": 20, "task.test_examples": 5})).replace('name = "linear"', f"name = {name!r}".replace("'", '"'), 1)
    (tmp_path / "here" / "m.toml").write_text(text)
    outcome = CliRunner().invoke(cli.main, ["run", "m.toml", "--backend", "numpy", "--json"])
    assert outcome.exit_code in (0, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
    made = {path.name for path in (tmp_path / "here").iterdir()}
    assert made == ({"m.toml", "results"} if outcome.exit_code == 0 else {"m.toml"})
    if outcome.exit_code == 0:
        assert len(list((tmp_path / "here" / "results").iterdir())) == 1
