"""The report: one page that stands for itself, shows what the tables hold, and runs nothing that a model says."""

import csv
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urlparse

import numpy as np
import pytest
from click.testing import CliRunner
from jobs import jobs_here

import bioFA
from bioFA import cli
from bioFA.analysis import statistics
from bioFA.comparisons.messages import too_few_seeds
from bioFA.comparisons.plan import Request, begin
from bioFA.comparisons.run import run
from bioFA.comparisons.table import PAIRS, TIDY, read
from bioFA.modelfiles import toml
from bioFA.show import comparison_figures, report

HOSTILE = (
    '<script>alert("x")</script> {{ 7 * 7 }} & <img src="http://example.org/x.png" onerror="alert(1)"> </svg></details>'
    ' \' --> ]]>'
)
VOID = {"meta", "br", "img", "hr", "input", "link"}


class Page(HTMLParser):
    """What a browser would find: tags in balance, identifiers, links, what is loaded, and the rows of tables."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.identifiers, self.links, self.loads, self.tags, self.tables, self.text, self.values = (
            [],
            [],
            [],
            [],
            [],
            {},
            [],
            [],
        )
        self.handlers = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.handlers += [name for name in found if name.startswith("on")]
        if "id" in found:
            self.identifiers.append(found["id"])
        for name in ("href", "xlink:href"):
            if name in found:
                self.links.append(found[name])
        self.loads += [
            found[name] for name in ("src", "data", "srcset", "action", "background", "poster") if name in found
        ]
        self.loads += re.findall(r"url\(([^)]*)\)", found.get("style") or "")
        if tag == "table":
            self.tables[found.get("id")] = []
            self.rows = self.tables[found.get("id")]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append([found.get("data-value"), ""])
        if "data-value" in found:
            self.values.append(found["data-value"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1][1] += data

    def said(self):
        return " ".join("".join(self.text).split())


def hostile(name="linear"):
    """A model whose every free text is an attack."""
    model = bioFA.load(
        name,
        {
            "task.examples": 60,
            "task.test_examples": 10,
            "task.validation_examples": 10,
            "protocol.snapshots": 3,
            "circuit.sizes": [30, 6, 10],
        },
    )
    return model.replace(description=HOSTILE)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Three schemes, one of which diverges, of a hostile model, tuned over six seeds: its folder."""
    folder = tmp_path_factory.mktemp("report")
    path = folder / "it's <b>mine.toml"
    path.write_text(toml.dumps(hostile()))
    changes = ("circuit.schemes.bp.rule.learning_rate=1e4", "circuit.schemes.bp.readout_rule.learning_rate=1e4")
    request = Request((str(path),), ("shallow", "fa", "bp"), 6, changes, False, "numpy")
    found = begin(request, folder / "out")
    with jobs_here():
        report.of_comparison(run(found, 2))
    return folder / "out"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned") / "out"
    changes = (
        "task.examples=60",
        "task.test_examples=10",
        "task.validation_examples=10",
        "protocol.snapshots=3",
        "circuit.sizes=[30,6,10]",
    )
    found = begin(Request(("linear",), ("fa",), 2, changes, True, "numpy"), folder)
    with jobs_here():
        report.of_comparison(run(found, 2))
    return folder


@pytest.fixture(scope="module")
def run_alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    bioFA.simulate(hostile(), seed=2, backend="numpy", folder=folder)
    report.write(folder)
    return folder


def page(folder):
    return Page((folder / report.PAGE).read_text())


@pytest.mark.parametrize("kind", ["compared", "tuned", "run_alone"])
def test_the_page_is_well_formed_stands_alone_and_holds_no_script(kind, request):
    folder = request.getfixturevalue(kind)
    text = (folder / report.PAGE).read_text()
    found = Page(text)
    assert found.open == []
    assert len(found.identifiers) == len(set(found.identifiers)), "each identifier once"
    inside = [link for link in found.links if not link.startswith("data:image/png;base64,")]
    assert {link for link in inside if not link.startswith("#")} == set(), "nothing outside is linked"
    assert {link[1:] for link in inside} <= set(found.identifiers), "every link leads somewhere"
    assert found.loads == []
    assert found.handlers == []
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "img"} & set(found.tags)
    assert not re.search(r"@import|expression\(", text)
    assert "default-src 'none'" in text
    assert all(urlparse(word).netloc == "" for word in re.findall(r'(?:href|src)="([^"]*)"', text))


@pytest.mark.parametrize("kind", ["compared", "run_alone"])
def test_what_a_model_says_is_shown_as_it_was_written_and_never_read_as_a_page(kind, request):
    found = page(request.getfixturevalue(kind))
    assert HOSTILE in "".join(found.text)
    assert "49" not in re.findall(r"</script> (\S+) &", "".join(found.text))
    if kind == "compared":
        assert "it's <b>mine.toml" in found.said()
        assert "b" not in found.tags


def test_numbers_on_the_page_are_those_of_the_tables_to_the_last_digit(compared):
    found = page(compared)
    with open(compared / TIDY) as file:
        tidy = list(csv.reader(file))
    assert [[text for _, text in row] for row in found.tables["table"]] == tidy
    with open(compared / PAIRS) as file:
        pairs = list(csv.DictReader(file))
    shown = found.tables["comparisons"][1:]
    assert len(shown) == len(pairs) == 3
    for row, pair in zip(shown, pairs, strict=True):
        for place, name in ((3, "difference"), (4, "low"), (5, "high"), (7, "superiority"), (10, "p_holm")):
            exact = float(row[place][0] or "nan")
            assert exact == float(pair[name] or "nan") or (np.isnan(exact) and pair[name] in ("", "nan")), (
                name,
                row[place],
                pair[name],
            )
    column = {name: place for place, name in enumerate(tidy[0])}
    for row in found.tables["conditions"][1:]:
        scheme = row[0][1]
        runs = [line for line in tidy[1:] if line[column["scheme"]] == scheme]
        logs = [
            np.log10(float(line[column["test_nse"]])) if line[column["status"]] == "finished" else np.inf
            for line in runs
        ]
        assert [row[6][1], row[7][1]] == [str(len(runs)), str(int(np.isfinite(logs).sum()))]
        middle = np.median([0.5 * a + 0.5 * b for a, b in itertools.combinations_with_replacement(logs, 2)])
        if np.isfinite(middle):
            assert float(row[2][0]) == pytest.approx(10**middle, rel=1e-12)
    assert {repr(float(line[column["test_nse"]])) for line in tidy[1:] if line[column["status"]] == "finished"} <= set(
        found.values
    ), "every seed is shown"


def test_what_diverged_is_loud(compared):
    found = page(compared)
    assert "6 diverged" in found.said()
    rows = {row[0][1]: row for row in found.tables["conditions"][1:]}
    assert [rows[name][7][1] for name in ("shallow", "fa", "bp")] == ["6", "6", "0"]
    assert "What is wrong" in found.said()


@pytest.mark.slow
def test_the_command_on_the_page_makes_the_same_tables(tuned, tmp_path):
    text = (tuned / report.PAGE).read_text()
    words = re.search(r'<pre id="command">(.*?)</pre>', text, re.DOTALL)[1]
    import html
    import shlex

    command = [str(tmp_path / "again") if word == "DIR" else word for word in shlex.split(html.unescape(words))]
    assert command[0] == "biofa"
    subprocess.run([sys.executable, "-m", "bioFA", *command[1:]], check=True, capture_output=True)
    for name in (TIDY, PAIRS):
        assert (tmp_path / "again" / name).read_bytes() == (tuned / name).read_bytes()


def test_tuning_is_on_the_page_with_its_grid(tuned):
    found = page(tuned)
    grids = found.tables["grids"]
    assert [row[0][1] for row in grids[1:]] == ["fa"]
    assert "tuning" in "".join(found.identifiers)


def test_figures_lie_beside_the_page_with_text_that_can_be_edited(compared, run_alone):
    for folder, names in (
        (compared / report.FIGURES, ("measures", "learning_curve", "alignment")),
        (run_alone, ("learning_curve", "alignment", "weights")),
    ):
        for name in names:
            assert "<text" in (folder / f"{name}.svg").read_text()
            assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_a_folder_without_results_is_refused_with_what_to_give(tmp_path):
    outcome = CliRunner().invoke(cli.main, ["report", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "biofa compare" in outcome.stderr


@pytest.mark.parametrize(("pairs", "needed"), [(1, 6), (3, 7), (21, 10), (45, 11)])
def test_the_seeds_that_could_show_a_difference_are_the_fewest(pairs, needed):
    """By hand: with every difference of one sign the exact p is 2/2^n,
    and Holm multiplies the lowest by the number of pairs."""
    assert statistics.seeds_needed(pairs) == needed
    for n, shown in ((needed, True), (needed - 1, False)):
        lowest = statistics.signed_rank_p(np.arange(1.0, n + 1))
        assert (statistics.holm([lowest] * pairs)[0] < 0.05) is shown


def test_too_few_seeds_for_so_many_pairs_are_said_before_and_after(compared):
    assert too_few_seeds(6, 1) is None
    assert too_few_seeds(4, 1).startswith("1 pair cannot be tested with 4 seeds")
    expected = too_few_seeds(6, 3)
    assert expected.startswith(
        "3 pairs cannot be tested with 6 seeds, however large a difference is: the lowest p that can come out is 0.094"
    )
    assert expected in page(compared).said()
    told = []
    run(read(compared), notify=told.append)
    assert told == [expected]


def test_dots_of_seeds_do_not_hide_one_another():
    values = [[0.025] * 5, [0.03, 0.0301, 0.0302, 0.06], [0.03, 0.05, 0.07, 0.09]]
    rows = [
        {"measure": "test_error", "values": v, "value": np.mean(v), "low": min(v), "high": max(v), "diverged": 0}
        for v in values
    ]
    panel = comparison_figures.measures(rows, ["equal", "close", "apart"]).axes[0]
    groups = [line.get_xydata() for line in panel.lines if line.get_marker() == "o"]
    assert [sorted(group[:, 0] / 100) for group in groups] == [pytest.approx(sorted(v)) for v in values]
    for height, group in enumerate(groups):
        assert len({tuple(dot) for dot in group}) == len(group)
        assert (abs(group[:, 1] - height) < 0.5).all(), "a dot is nearer to another condition"
    assert [len(set(group[:, 1])) for group in groups] == [5, 3, 1]
    assert all(line.get_markerfacecolor() == "none" for line in panel.lines if line.get_marker() == "o")


@pytest.mark.parametrize(
    ("every", "words"),
    [
        pytest.param(1, "Every presentation was recorded.", marks=pytest.mark.slow),
        (7, "One presentation in 7 was recorded."),
    ],
)
def test_captions_say_which_presentations_were_recorded(every, words, tmp_path):
    model = hostile()
    bioFA.simulate(
        model.replace(record=model.record.replace(every=every)), seed=2, backend="numpy", folder=tmp_path / "run"
    )
    report.write(tmp_path / "run")
    captions = re.findall(
        r"<figcaption[^>]*>(.*?)</figcaption>", (tmp_path / "run" / report.PAGE).read_text(), re.DOTALL
    )
    assert sum(words in caption for caption in captions) == 2, captions
