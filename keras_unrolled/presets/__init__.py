"""Presets: a name, a folder of configurations and weights, and a record.

`record` and `registry` do without Keras, so that listing presets is quick.
"""
