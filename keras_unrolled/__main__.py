"""`python -m keras_unrolled` is `keras-unrolled`."""

import sys

from keras_unrolled.cli import main

sys.exit(main())
