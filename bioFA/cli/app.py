"""The command line: read, call one function, print.

Exit codes: 0 done; 1 a check or a run failed; 2 the input is wrong; 3 the machine lacks
something; 130 interrupted (Ctrl-C), 143 ended by SIGTERM. With `--json`, standard output holds one JSON object and
nothing else, also when something went wrong. Whatever takes time to import is imported inside the
command that needs it, so that `biofa --help` answers at once. (A file `main.py` would hide the function
`bioFA.cli.main`, by which others import this.)
"""

from __future__ import annotations

import click

from bioFA.cli import compare, exchange, machine, models, run, verify
from bioFA.cli.console import WIDTH, Commands


@click.group(
    "biofa", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}
)
@click.version_option(package_name="bioFA", prog_name="biofa")
def main() -> None:
    """Feedback alignment in populations of neurons, compiled to C++ by Brian2 and checked against NumPy.

    MODEL is the name of a built-in model ('biofa list') or the path of a .toml file.

    \b
    First steps:
      biofa doctor                       is everything here that bioFA needs?
      biofa run digits                   learn handwritten digits by feedback alignment
      biofa run digits --scheme bp       the same with backpropagation
      biofa verify digits                does the compiled program agree with NumPy?
      biofa show digits > mine.toml      a model file of your own to change
    """


COMMANDS = (
    models.list_, models.show, models.code, models.schema, models.init, models.completion, run.run, run.resume,
    compare.compare, compare.report, exchange.export, exchange.bundle, exchange.import_, verify.check,
    verify.verify, verify.audit, machine.cache, machine.doctor, machine.data,
)
for command in COMMANDS:
    main.add_command(command)
