"""Progress bars: one moving line in a terminal, a line now and then in a log file."""

import sys

from tqdm import tqdm

COLUMNS = 80
SECONDS_BETWEEN_LINES = 30


def progress(iterable=None, *, description=None, unit="it", hidden=False, **options):
    """A progress bar on standard error.

    Args:
        iterable: optional iterable to wrap; without one call `update` on the bar.
        description: optional string, the bar's title.
        unit: string, what is counted.
        hidden: bool, whether to show nothing.
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
        unit_scale=True,
        mininterval=0.5 if terminal else SECONDS_BETWEEN_LINES,
        maxinterval=0.5 if terminal else SECONDS_BETWEEN_LINES,
        ncols=COLUMNS,
        file=sys.stderr,
        disable=hidden,
        **options,
    )
