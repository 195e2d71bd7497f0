"""The program `keras-unrolled`: its commands, exit codes and output.

Figures go to standard output, with `--json` for machines; progress goes to standard error.
Exit codes: 0 done, 1 our fault, 2 bad input, 130 interrupted, 143 stopped by SIGTERM.
"""

import argparse
import json
import os
import sys
import traceback
from contextlib import suppress

from keras_unrolled import checks, environment
from keras_unrolled.cli import (
    analysis,
    comparing,
    demo,
    exporting,
    finetuning,
    prediction,
    presets,
    scoring,
)
from keras_unrolled.cli.options import reject_empty
from keras_unrolled.quiet import import_keras

GROUPS = (presets, scoring, comparing, prediction, analysis, finetuning, exporting, demo)
SIGTERM = 143  # 128 + 15, as of a shell: the command is not done
DEBUG = "KERAS_UNROLLED_DEBUG"


def main(arguments=None):
    """Runs one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may be no text
            stream.reconfigure(errors="backslashreplace")
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        # A list of files that may be empty ends at the first option: what follows is left over.
        if options.command != "predict" or any(word.startswith("-") for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.files += rest
    name = f"keras-unrolled {options.command}"
    try:
        reject_empty(options)
        if options.needs_keras:
            import_keras(find_devices=getattr(options, "replicas", None) is None)
        result, text = options.run(options)
    except checks.InputError as error:
        _report(f"{name}: {error}")
        return 2
    except InterruptedError as error:  # the run has saved its state
        _report(f"{name}: {error}")
        return getattr(error, "exit_code", 130) or SIGTERM
    except KeyboardInterrupt:
        _report(f"{name}: interrupted")
        return 130
    except OSError as error:  # a full disk, a path that is too long, a place without permission
        _report(f"{name}: Expected to read and write files. It failed: {error}.")
        return 2
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        _report(
            f"{name}: a fault of this program, not of the input: {type(error).__name__}: {error}. "
            f"Please report it with the output of {DEBUG}=1."
        )
        return 1
    written = _print(json.dumps(result, indent=1, ensure_ascii=False) if options.json else text)
    if written is not None:
        _report(f"{name}: Expected to write the result. It failed: {written}.")
        return 2
    return getattr(options, "exit_code", 0)  # 2 where a part of the input was bad


def _report(text):
    """Prints a message to standard error, if that can be written."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _print(text):
    """Prints a text; returns the error if standard output cannot be written."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # The reader of a pipe, such as `head`, has seen enough.
        return None if isinstance(error, BrokenPipeError) else error
    return None


def make_parser():
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="keras-unrolled",
        description="Highway and Residual networks as unrolled iterative estimation.",
        epilog="keras-unrolled COMMAND --help describes a command and gives examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = environment.package_version()
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add(commands)
    return parser
