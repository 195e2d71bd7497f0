"""Export of a classifier to a file that other programs run: ONNX, LiteRT or a SavedModel.

- `request`: what is exported where, checked before anything is loaded.
- `network`: from raw images to probabilities, with the preprocessing inside; `images`: those that it
  is calibrated and checked with.
- `onnx_file`, `litert_file`, `saved_model`: the writers, one for each format; `metadata`: what they write
  of the network; `silence`: their converters' messages.
- `runtime`: a program that runs an exported file without this package; `verification`: its outputs
  compared with the original's.
- `run`: all of it in order.
"""
