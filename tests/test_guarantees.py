"""Every test that the pages of guarantees and limitations name exists."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def named_tests(page):
    """The tests that a page names, all of which exist."""
    named = NAMED.findall(page)
    for file, name in named:
        functions = {
            node.name for node in ast.walk(ast.parse((TESTS / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{file}::{name}"
    return named


def test_every_promise_has_its_tests():
    page = (TESTS.parent / "docs" / "guarantees.md").read_text()
    assert len(named_tests(page)) > 25
    for promise in page.split("\n## P")[1:]:
        assert NAMED.search(promise)


def test_every_limitation_has_its_tests():
    page = (TESTS.parent / "docs" / "limitations.md").read_text()
    assert len(named_tests(page)) > 25
    rows = [line for line in page.splitlines() if line.startswith("| ") and "pinned by" not in line]
    assert all(NAMED.search(row) for row in rows)
