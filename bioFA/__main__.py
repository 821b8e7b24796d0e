"""`python -m bioFA`, and the command `biofa`: every command, and the self-test of them all."""

from bioFA.cli import main
from bioFA.selftest.command import selftest

main.add_command(selftest)

if __name__ == "__main__":
    main(prog_name="biofa")
