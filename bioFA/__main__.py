"""`python -m bioFA` is `biofa`."""

from bioFA.cli import main

main()
