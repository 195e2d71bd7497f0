"""The engine on TensorFlow's distribution strategies."""
