"""Every test that the page of guarantees names exists."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_promise_has_its_tests():
    page = (TESTS.parent / "docs" / "guarantees.md").read_text()
    named = NAMED.findall(page)
    assert len(named) > 25
    for promise in page.split("\n## P")[1:]:
        assert NAMED.search(promise)
    for file, name in named:
        functions = {
            node.name for node in ast.walk(ast.parse((TESTS / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{file}::{name}"
