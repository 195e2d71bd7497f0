"""The command line: one file for each group of commands, with the parsers next to the handlers."""

from keras_unrolled.cli.program import main

__all__ = ["main"]
