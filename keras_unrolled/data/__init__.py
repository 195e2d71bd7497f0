"""Images and texts to train, fine-tune and evaluate on.

- `loading`: what a path or name stands for; a new source of images starts here.
- `folders`, `archives`, `tables`, `tfds`, `hub_datasets`, `sample`, `text`: the kinds of sources that it
  knows; `parts` tells the folders of train, validation and test, `listing` which files count, `hub_layout`
  the files and columns of data sets on the Hub, `records` reads TFDS's files where there is no TensorFlow.
- `corruptions`: CIFAR-10-C, regenerated.
- `files`, `decoding`: image files and their pixels.
- `examples`: labeled images, how they are divided, and how labels are matched. `memory`, `labels`: those
  that are given as arrays.
- `order`: where examples are in a data set as published.
- `sources`, `crops`: encoded images that are read by number, and their decoding.
- `image_batches`, `text_batches`, `draws`: training batches as functions of seed and step; `streams`,
  `augment`: their `tf.data` pipelines.
"""

from keras_unrolled.data.corruptions import corrupt
from keras_unrolled.data.decoding import read_image
from keras_unrolled.data.examples import Examples, align, split_indices
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.folders import load_folder
from keras_unrolled.data.hub_datasets import load_hub_dataset
from keras_unrolled.data.loading import Parts, load, load_parts
from keras_unrolled.data.parts import find_parts
from keras_unrolled.data.sample import load_sample
from keras_unrolled.data.tables import load_csv
from keras_unrolled.data.text import read_words
from keras_unrolled.data.tfds import TFDSImages, load_cifar10, load_tfds

__all__ = [
    "Examples",
    "ImageFiles",
    "Parts",
    "TFDSImages",
    "align",
    "corrupt",
    "find_parts",
    "load",
    "load_cifar10",
    "load_csv",
    "load_folder",
    "load_hub_dataset",
    "load_parts",
    "load_sample",
    "load_tfds",
    "read_image",
    "read_words",
    "split_indices",
]
