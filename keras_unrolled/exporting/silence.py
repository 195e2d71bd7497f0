"""What converters say while they work, which is for their developers."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from keras_unrolled.quiet import closed_stderr


@contextmanager
def silenced() -> Iterator[None]:
    """Drops warnings, log messages and what compiled code writes to standard error.

    What goes wrong is raised, or found when the exported file is run.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), closed_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
