"""The zoo: shipped checkpoints with their records, the sample, and what is built from them."""

from keras_unrolled.quiet import import_keras_first

import_keras_first()
