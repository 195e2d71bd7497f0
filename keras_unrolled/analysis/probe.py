"""A linear classifier on fixed features."""

import numpy as np

STEPS = 300
DECAY = 1e-3  # on standardized features


class Probe:
    """Multinomial logistic regression on standardized features, fitted by accelerated descent.

    Nesterov's method with the step that the loss's curvature allows, restarted where the loss rises;
    the loss is convex, so that the result depends on nothing but the data.

    Args:
        features: float array `(n, k)`.
        labels: int array `(n,)`.
        classes: int, number of classes.
        decay: float, weight of half the squared norm of the weights (not of the biases).
        steps: int.
    """

    def __init__(self, features, labels, classes, *, decay=DECAY, steps=STEPS):
        features = np.asarray(features, "float64")
        self.mean = features.mean(0)
        self.scale = np.maximum(features.std(0), 1e-6)
        x = self._standardize(features)
        target = np.eye(classes)[labels]
        # The softmax's curvature is at most 1/2 that of the squared features.
        curvature = 0.5 * np.linalg.eigvalsh(x.T @ x / len(x))[-1] + decay
        penalty = np.full((x.shape[1], 1), decay)
        penalty[-1] = 0.0

        def loss(weights):
            scores = _log_softmax(x @ weights)
            return -(scores * target).sum() / len(x) + (penalty * weights**2).sum() / 2

        def gradient(weights):
            return x.T @ (np.exp(_log_softmax(x @ weights)) - target) / len(x) + penalty * weights

        weights = ahead = np.zeros((x.shape[1], classes))
        momentum, least = 1.0, np.inf
        for _ in range(steps):
            new = ahead - gradient(ahead) / curvature
            now = loss(new)
            if now > least:
                momentum, ahead = 1.0, weights
                continue
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / following * (new - weights)
            weights, momentum, least = new, following, now
        self.weights = weights

    def _standardize(self, features):
        x = (np.asarray(features, "float64") - self.mean) / self.scale
        return np.concatenate([x, np.ones((len(x), 1))], 1)

    def log_probabilities(self, features):
        """The logarithms of the class probabilities, float64 `(n, classes)`."""
        return _log_softmax(self._standardize(features) @ self.weights)


def _log_softmax(scores):
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))
