"""Validation of arguments, with one kind of error message.

Every message says what was expected, what was received and what to do; a near miss in a
name is answered with the names that it might have been. Nothing here imports Keras.
"""

import difflib
import errno
import math
import numbers
import operator
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Something that the caller gave is missing, malformed or out of range.

    The command line prints its message only and exits with code 2.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.load_record("resnet_bn_cifar")
        Traceback (most recent call last):
            ...
        keras_unrolled.checks.InputError: ...resnet_bn_cifar10...
    """


def one_of(argument: str, value: Any, options: Iterable[str]) -> str:
    """Returns `value` where it is one of `options`, else raises `InputError` with a hint."""
    options = list(options)
    if isinstance(value, str) and value in options:
        return value
    raise InputError(
        f"Expected `{argument}` to be one of {', '.join(map(repr, options))}. "
        f"Received: {argument}={value!r}. {did_you_mean(value, options) or 'Choose one of them.'}"
    )


def first_line(text: Any, most: int = 200) -> str:
    """The first line of a text or error from elsewhere, without control characters.

    An error that says nothing is named by its class.
    """
    line = next(iter(str(text).strip().splitlines()), "")
    if not line and isinstance(text, BaseException):
        line = type(text).__name__
    return re.sub(r"[^\x20-\x7e\xa0-\ud7ff]", "?", line)[:most].removesuffix(".")


def count(number: int, noun: str) -> str:
    """A number with its noun, "1 line" or "2,000 lines"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(value: Any, options: Iterable[str]) -> str:
    """A sentence with up to three names close to `value`, or an empty string."""
    close = difflib.get_close_matches(str(value), list(options), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def whole(argument: str, value: Any, *, least: int, most: int) -> int:
    """Returns `value` as an int within `least..most`, else raises `InputError`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise InputError(
            f"Expected `{argument}` to be a whole number from {least:,} to {most:,}. "
            f"Received: {argument}={value!r}. Choose a number in that range."
        )
    return number


def real(argument: str, value: Any, *, least: float, most: float, below: bool = False) -> float:
    """Returns `value` as a finite float within `least..most`, else raises `InputError`.

    Args:
        argument: the argument's name, for the message.
        value: what was received.
        least: smallest value allowed.
        most: largest value allowed; with `below`, the first value not allowed.
        below: whether `most` itself is rejected.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    ok = is_number and least <= value <= most
    if not ok or not math.isfinite(value) or (below and value == most):
        bound = f"below {most:g}" if below else f"at most {most:g}"
        raise InputError(
            f"Expected `{argument}` to be a number of at least {least:g} and {bound}. "
            f"Received: {argument}={value!r}. Choose a number in that range."
        )
    return float(value)


def flag(argument: str, value: Any) -> bool:
    """Returns `value` where it is True or False, else raises `InputError`."""
    if isinstance(value, bool):
        return value
    raise InputError(
        f"Expected `{argument}` to be True or False. Received: {argument}={value!r}. "
        "Write one of the two."
    )


def named(argument: str, value: Any) -> Any:
    """Returns a path or name where it is not empty, else raises `InputError`.

    Python takes an empty path for the current folder; a shell gives one for an unset variable.
    """
    if isinstance(value, str) and not value.strip():
        raise InputError(
            f"Expected a path or name for {argument}. Received: {value!r}, which is empty. Pass one."
        )
    return value


def expand(path: str | Path) -> Path:
    """The path with a leading `~` replaced, else raises `InputError` for an unknown user's."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"Expected a path whose user exists. Received: {first_line(path, 100)}, which begins with "
            f"the home folder of an unknown user. Write ./{first_line(path, 100)} if a folder has this name."
        ) from error


def find_address(value: str | Path) -> str | None:
    """An address with both slashes, such as hf://org/name, or None for a path or name."""
    text = str(value)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/+", text)  # a path has one of the two slashes
    return scheme and f"{scheme[0].rstrip('/')}//{text[scheme.end() :]}"


def local(folder: str | Path) -> Path:
    """The path of a folder to write, else raises `InputError` for an address or an empty name."""
    if address := find_address(named("the folder to write", folder)):
        raise InputError(
            f"Expected a folder to write on this machine. Received an address: {address}. Pass a path; "
            "to publish a preset use keras-unrolled publish FOLDER hf://ORG/NAME (in Python: "
            "upload_preset)."
        )
    return Path(folder)


def readable(argument: str, value: Any) -> Path:
    """The path of something to read on this machine, with `~` expanded; it need not exist.

    Raises:
        InputError: for anything but a string or path, and for an empty one, an address and what no
            file can be named.
    """
    if not isinstance(named(argument, value), (str, Path)):
        raise InputError(
            f"Expected a path or name for {argument}. Received a {type(value).__name__}: "
            f"{first_line(repr(value), 80)}. Pass a string or a Path."
        )
    path = expand(value)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            reason = first_line(getattr(error, "strerror", None) or error)
            raise InputError(
                f"Expected a path or name for {argument}. Received: {str(value)[:80]!r}"
                f"{'...' * (len(str(value)) > 80)}, which cannot be one ({reason}). Check it."
            ) from error
        if address := find_address(value):
            match = re.match(
                r"(?:hf:|https?://huggingface\.co)/+datasets/([^/?#]+/[^/?#]+)", address
            )
            advice = (
                f"Write hf-dataset://{match[1]}, where a data set is taken."
                if match
                else "Download what it has, and pass the path."
            )
            raise InputError(
                f"Expected a path or name for {argument}. Received an address: {address}. {advice}"
            ) from error
    return path


def check_names(arguments: Iterable[str], names: Iterable[str], owner: str) -> None:
    """Raises `InputError` for the first of `arguments` that is not among `names`."""
    names = sorted(names)
    for argument in arguments:
        if argument not in names:
            raise InputError(
                f"Expected the arguments of {owner}: {', '.join(names)}. "
                f"Received an unknown one: {argument}=... "
                f"{did_you_mean(argument, names) or 'Remove it.'}"
            )
