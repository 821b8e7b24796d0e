"""The error family, and how a mistake in a description is put into words.

    BioFAError
      ModelError        a description is wrong                      exit code 2
      FileError         a file or folder is missing, wrong or taken exit code 2
      MissingError      the machine lacks a program or a package    exit code 3
      RunError          a run failed, is incomplete or diverged     exit code 1
        DivergedError   its numbers are no longer finite            exit code 1

Every message says where, what was given, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BioFAError(Exception):
    """Base of every error that bioFA raises on purpose."""

    exit_code = 1


class ModelError(BioFAError):
    """A description that its author can mend: a population, a pathway, a rule, a number."""

    exit_code = 2


class FileError(BioFAError):
    """A file or folder that is missing, damaged, of the wrong kind, or already in use."""

    exit_code = 2


class MissingError(BioFAError):
    """A program or package that this machine lacks."""

    exit_code = 3


class RunError(BioFAError):
    """A run that failed, did not finish, or whose numbers are no longer finite."""

    exit_code = 1


class DivergedError(RunError):
    """A run whose numbers are no longer finite: begun again, it would only come to the same end."""


LONGEST_NAME = 80
"""A longer name is no misspelt one."""


def suggestion(given: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant: `Did you mean 'x'? Known: x, y.`"""
    known = sorted(known)
    close = difflib.get_close_matches(given[:LONGEST_NAME], known, n=1, cutoff=0.5)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"{meant} Known: {', '.join(known) or 'none'}."
