"""The command line: each command reads, calls one function, and prints."""

from bioFA.cli.app import main

__all__ = ["main"]
