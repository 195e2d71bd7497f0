"""The report of `evaluate`: how well a classifier does, and what is wrong with the data.

- `scoring`: `evaluate`, with or without a report. `report`: its folder; `pages`, `figures`, `tables`: what
  is in it; `findings`: all that it states.
- `finetuning`: `finetune`, with a report on what was held out; `training`: its section. `training_labels`,
  `folds`: labels of what was trained on, judged out of fold; `suspects`: the sections on labels.
- `language`, `language_report`: the same of a language model on a text.
- `looking`: the pass over the images. `calibration`, `labels`, `duplicates`, `maps`, `origin`: one question
  each. `pictures`: single images, read, hashed and shrunk.
"""

from keras_unrolled.reporting.diagnosis.duplicates import find_duplicates, find_unusual_sizes
from keras_unrolled.reporting.diagnosis.labels import count_errors, find_confidence, find_suspects
from keras_unrolled.reporting.diagnosis.maps import make_maps
from keras_unrolled.reporting.diagnosis.pictures import hash_picture, shrink_picture
from keras_unrolled.reporting.diagnosis.scoring import evaluate

__all__ = [
    "count_errors",
    "evaluate",
    "find_confidence",
    "find_duplicates",
    "find_suspects",
    "find_unusual_sizes",
    "hash_picture",
    "make_maps",
    "shrink_picture",
]
