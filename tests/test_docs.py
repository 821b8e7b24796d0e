"""The documentation is true: every block on every page runs, in order, and the site builds without a warning."""

import os
import re
import subprocess
import sys
from pathlib import Path

import forks
import pytest

import bioFA
from bioFA import schemes
from bioFA.cli import main

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOT_RUN = {"index", "reproduction", "mutation", "errors", "feedback_delay"}
"""Pages whose commands take an hour, or that hold none."""
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"reference", "auto_gallery"} & set(path.parts) and path.stem not in NOT_RUN
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNER = """
import json, os, subprocess, sys
import matplotlib
matplotlib.use("agg")
sys.path.insert(0, os.getcwd())
names = {"__name__": "page"}
for kind, text in json.loads(sys.stdin.read()):
    if kind in ("python", "toml") and text.startswith("# file: "):
        open(text.splitlines()[0].removeprefix("# file: "), "w").write(text)
    elif kind == "python":
        exec(compile(text, "block", "exec"), names)
    elif kind == "sh":
        done = subprocess.run(["bash", "-e", "-c", text + "\\npwd > \\"$WHERE\\""], env=os.environ | {"WHERE": os.environ["HERE"] + "/.where"})
        if done.returncode:
            sys.exit(f"block failed with {done.returncode}:\\n{text}")
        os.chdir(open(os.environ["HERE"] + "/.where").read().strip())
"""  # noqa: E501


BIOFA = """#!{python} -IS
import os, sys
sys.path.insert(0, {here!r})
import forks
code = "from bioFA.__main__ import main; main(prog_name='biofa')"
sys.exit(forks.ask({server!r}, code, ["biofa", *sys.argv[1:]], os.getcwd(), os.environ))
"""
"""The command `biofa` of the pages, as a fork of one process that has imported it."""

PICTURES = "from bioFA.show import style; style.write.__defaults__ = (('.png',),)"
"""Of each figure one file, not three."""


@pytest.fixture(scope="module")
def biofa(tmp_path_factory):
    """A folder that holds the command `biofa`."""
    place = tmp_path_factory.mktemp("bin")
    modules = ("bioFA.__main__", "bioFA.show.report", "bioFA.show.figures", "bioFA.comparisons.run")
    server = forks.start(place / "server", (*modules, "bioFA.consumers.brian.run"), prepare=PICTURES)
    text = BIOFA.format(python=sys.executable, here=str(Path(__file__).parent), server=str(place / "server"))
    (place / "biofa").write_text(text)
    (place / "biofa").chmod(0o755)
    yield place
    server.terminate()
    server.wait()


def test_there_are_pages():
    assert {path.stem for path in PAGES} >= {
        "tutorial",
        "own_data",
        "own_rule",
        "own_neuron",
        "cluster",
        "from_other_tools",
        "verification",
    }


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
@pytest.mark.parametrize("page", [path for path in PAGES if BLOCK.search(path.read_text())], ids=lambda path: path.stem)
def test_every_block_of_a_page_runs_in_order(page, tmp_path, biofa):
    import json

    blocks = [(kind, text) for kind, text in BLOCK.findall(page.read_text()) if kind in ("python", "sh", "toml")]
    assert any(kind != "toml" for kind, _ in blocks)
    (tmp_path / "page").mkdir()
    environment = os.environ | {"PATH": f"{biofa}:{os.environ['PATH']}", "HERE": str(tmp_path)}
    (tmp_path / "run.py").write_text(RUNNER)  # a file, so that classes in blocks have a source
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")],
        input=json.dumps(blocks),
        capture_output=True,
        text=True,
        cwd=tmp_path / "page",
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def reference():
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import reference_pages
    finally:
        sys.path.pop(0)
    return reference_pages


def test_the_reference_has_every_part_field_command_and_public_name():
    found = reference()
    pages = found.pages()
    for page, (_, family) in found.FAMILIES.items():
        for name in family.names():
            assert f"\n## {name}\n" in pages[page]
            for field in family.get(name).model_fields:
                assert f"| `{field}` |" in pages[page]
    assert all(f"\n## {name}\n" in pages["python"] for name in bioFA.__all__)
    assert all(f"\n## biofa {name}\n" in pages["command_line"] for name in main.commands)


def test_docstrings_become_markdown_without_losing_a_word():
    text = reference().markdown("""First *line* of a_b.

            tau dv/dt = -v        (eq. 1)
            s = v > 1

        Then prose with `code_here`.

        Args:
            x: a number,
                going on.

        Raises:
            ModelError: if it is wrong.
        """.replace("\n        ", "\n"))
    assert "First \\*line\\* of a\\_b." in text
    assert "```text\ntau dv/dt = -v        (eq. 1)\ns = v > 1\n```" in text
    assert "`code_here`" in text
    assert "**Arguments**" in text
    assert "- `x`: a number," in text
    assert "going on." in text
    assert "- `ModelError`: if it is wrong." in text


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.usefixtures("quick_builds")
def test_the_site_builds_without_a_warning_and_runs_gallery_and_notebooks(tmp_path):
    for package in ("sphinx", "myst_nb", "sphinx_gallery", "furo"):
        pytest.importorskip(package, reason="the documentation needs: pip install '.[docs]'")
    import shutil

    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("auto_gallery", "reference"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-b",
            "html",
            str(tmp_path / "docs"),
            str(tmp_path / "site"),
        ],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for page in ("index", "tutorial", "auto_gallery/plot_alignment", "notebooks/first_steps", "reference/rules"):
        assert (tmp_path / "site" / f"{page}.html").is_file()
    assert len(list((tmp_path / "site" / "_images").glob("sphx_glr_plot_*_001.png"))) == len(
        list((DOCS / "gallery").glob("plot_*.py"))
    )


@pytest.mark.parametrize("path", ["README.md", "CITATION.cff", "bioFA/modelfiles/template/CITATION.cff"])
def test_the_paper_is_cited_as_preprint_and_in_its_journal_version(path):
    text = (DOCS.parent / path).read_text()
    for words in (
        "arXiv:1411.0247" if path.endswith(".md") else "arxiv.org/abs/1411.0247",
        "10.1038/ncomms13276",
        "13276",
        "2014",
        "2016",
        "Random feedback weights support learning in deep neural networks",
        "Random synaptic feedback weights support error backpropagation for deep learning",
    ):
        assert words in text, words


def test_the_page_of_models_names_every_built_in_model_and_scheme():
    page = (DOCS / "models.md").read_text()
    assert set(bioFA.builtin_models()) <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    rows = [line.split(" | ")[0] for line in page.split("| scheme |")[1].splitlines() if line.startswith("| `")]
    assert set(schemes.family.names()) == set(re.findall(r"`(\w+)`", "".join(rows)))


def test_the_readme_is_short_shows_the_first_figure_and_leads_to_pages_that_exist():
    text = (DOCS.parent / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert "docs/figures/feedback_alignment.png" in links
    assert len(links) > 15
    for link in links:
        assert (DOCS.parent / link).is_file(), link


def test_the_model_in_the_readme_runs(tmp_path):
    pytest.importorskip("sklearn", reason="digits needs scikit-learn")
    text = (DOCS.parent / "README.md").read_text()
    (tmp_path / "model.toml").write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL).group(1))
    experiment = bioFA.load(tmp_path / "model.toml")
    short = experiment.replace(protocol=experiment.protocol.replace(epochs=1))
    assert bioFA.simulate(short, backend="numpy").metrics["test_error"] < 0.2


def test_every_page_is_at_most_two_clicks_from_the_first():
    index = (DOCS / "index.md").read_text()
    beside = re.findall(r"^([\w/]+)$", "".join(re.findall(r"```{toctree}(.*?)```", index, re.DOTALL)), re.MULTILINE)
    found = {DOCS / "index.md"} | {DOCS / f"{name}.md" for name in beside if (DOCS / f"{name}.md").is_file()}
    found |= {
        (page.parent / link).resolve()
        for page in found
        for link in re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", page.read_text())
        if (page.parent / link).is_file()
    }
    assert [page.name for page in PAGES if page not in found] == []
