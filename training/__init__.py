"""The tools of a checkout that make presets; not installed."""

from keras_unrolled.quiet import import_keras_first

import_keras_first()
