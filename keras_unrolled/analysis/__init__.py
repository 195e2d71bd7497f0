"""Tools that look inside a network."""

from keras_unrolled.analysis.gates import gate_openings

__all__ = ["gate_openings"]
