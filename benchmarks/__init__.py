"""Speed against peers, as ratios measured in one run."""

from keras_unrolled.quiet import import_keras_first

import_keras_first()
