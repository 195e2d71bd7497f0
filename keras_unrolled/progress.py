"""Progress bars: one moving line in a terminal, a line now and then in a log file."""

import sys

from tqdm import tqdm

COLUMNS = 80
SECONDS_BETWEEN_LINES = 30


# For long titles and figures after the bar, which would leave no room for it.
WITHOUT_BAR = "{desc}{percentage:3.0f}% [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def title(wanted, *parts):
    """The title of a bar, or None for no bar.

    Args:
        wanted: the title, True for one without, or None or False for no bar.
        *parts: strings that are added to it.
    """
    if wanted is None or wanted is False:
        return None
    return ", ".join([*([] if wanted is True else [str(wanted)]), *parts])


def progress(
    iterable=None,
    *,
    description=None,
    unit="it",
    unit_scale=True,
    hidden=False,
    bar_format=None,
    **options,
):
    """A progress bar on standard error.

    Args:
        iterable: optional iterable to wrap; without one call `update` on the bar.
        description: optional string, the bar's title.
        unit: string, what is counted.
        unit_scale: True for numbers such as 12.3k, or how many units one item is.
        hidden: bool, whether to show nothing.
        bar_format: optional string, the format of the line, as `tqdm` takes it.
        **options: arguments of `tqdm.tqdm`, such as `total` and `initial`.

    Returns:
        A `tqdm.tqdm`. In a terminal it fits 80 columns; elsewhere it writes at most one line
        every 30 seconds.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        desc=description,
        unit=f" {unit}",
        unit_scale=unit_scale,
        mininterval=0.5 if terminal else SECONDS_BETWEEN_LINES,
        maxinterval=0.5 if terminal else SECONDS_BETWEEN_LINES,
        ncols=COLUMNS,
        bar_format=bar_format,
        file=sys.stderr,
        disable=hidden,
        **options,
    )
