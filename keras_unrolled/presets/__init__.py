"""Presets: a name, a folder of configurations and weights, and a record.

`record`, `catalog` and `resolve` do without Keras, so that listing presets is quick.
"""
