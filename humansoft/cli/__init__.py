"""The command line: the verbs of the package for people who do not write Python."""

from humansoft.cli.program import app as app
