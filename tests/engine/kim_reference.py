"""The training of Kim et al. 2016 in plain NumPy: every word read where it stands, every gradient by hand.

One gated layer (coupled), two LSTMs, no dropout.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Reference:
    """Parameters by name, the state, and a step of SGD.

    Args:
        weights: dict of float64 arrays: "embedding", "kernels" (a list), "bias", "h", "h_bias", "t",
            "t_bias", "lstms" (a list of kernel, recurrent kernel and two biases), "out", "out_bias".
        spelled: int array `(words, characters)`, 0 for padding.
        batch: int, texts side by side.
    """

    def __init__(self, weights, spelled, batch):
        self.w, self.spelled = weights, spelled
        units = weights["lstms"][0][1].shape[0]
        self.state = [[np.zeros((batch, units)) for _ in range(2)] for _ in weights["lstms"]]

    def read(self, words):
        """Word vectors `(n, features)` and what their gradient needs."""
        w = self.w
        characters = np.pad(self.spelled[words], [(0, 0), (0, max(map(len, w["kernels"])))])
        vectors = w["embedding"][characters] * (characters != 0)[..., None]
        features, chosen, at = [], [], 0
        for kernel in w["kernels"]:
            width, _, count = kernel.shape
            places = vectors.shape[1] - width + 1
            windows = np.stack([vectors[:, i : i + width] for i in range(places)], 1)
            z = np.einsum("npwc,wcf->npf", windows, kernel) + w["bias"][at : at + count]
            best = z.argmax(1)
            features.append(np.tanh(z.max(1)))
            chosen.append((windows, best))
            at += count
        y = np.concatenate(features, -1)
        a, b = y @ w["h"] + w["h_bias"], y @ w["t"] + w["t_bias"]
        h, t = np.maximum(a, 0), sigmoid(b)
        return h * t + y * (1 - t), (characters, chosen, y, a, h, t)

    def read_back(self, d, saved, grads):
        """Adds the gradients of `read`."""
        w = self.w
        characters, chosen, y, a, h, t = saved
        da, db = d * t * (a > 0), d * (h - y) * t * (1 - t)
        grads["h"] += y.T @ da
        grads["h_bias"] += da.sum(0)
        grads["t"] += y.T @ db
        grads["t_bias"] += db.sum(0)
        dy = (d * (1 - t) + da @ w["h"].T + db @ w["t"].T) * (1 - y**2)
        grads["bias"] += dy.sum(0)
        at = 0
        for kernel, d_kernel, (windows, best) in zip(w["kernels"], grads["kernels"], chosen):
            width, _, count = kernel.shape
            part = dy[:, at : at + count]
            at += count
            for n in range(len(y)):
                for f in range(count):
                    place = best[n, f]
                    d_kernel[:, :, f] += part[n, f] * windows[n, place]
                    for i in range(width):
                        if characters[n, place + i]:
                            row = grads["embedding"][characters[n, place + i]]
                            row += part[n, f] * kernel[i, :, f]

    def step(self, words, targets, rate, clip):
        """One step on `(batch, length)` words; returns the loss before it.

        The loss is the sum over the steps of the mean over the batch.
        """
        w, (batch, length) = self.w, words.shape
        grads = {
            k: [np.zeros_like(x) for x in v] if isinstance(v, list) else np.zeros_like(v)
            for k, v in w.items()
            if k != "lstms"
        }
        grads["lstms"] = [[np.zeros_like(x) for x in lstm] for lstm in w["lstms"]]
        xs, reads = [], []
        for s in range(length):
            vectors, saved = self.read(words[:, s])
            xs.append(vectors)
            reads.append(saved)
        layers = []
        for (kernel, recurrent, bias, other), state in zip(w["lstms"], self.state):
            steps, out = [], []
            for x in xs:
                h, c = state
                z = x @ kernel + h @ recurrent + bias + other
                i, f, g, o = np.split(z, 4, -1)
                i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
                new = f * c + i * g
                steps.append((x, h, c, i, f, g, o, new))
                state[:] = [o * np.tanh(new), new]
                out.append(state[0])
            layers.append(steps)
            xs = out
        loss, d_xs = 0.0, []
        for s, h in enumerate(xs):
            logits = h @ w["out"] + w["out_bias"]
            p = np.exp(logits - logits.max(-1, keepdims=True))
            p /= p.sum(-1, keepdims=True)
            loss -= np.log(p[np.arange(batch), targets[:, s]]).mean()
            p[np.arange(batch), targets[:, s]] -= 1
            d = p / batch
            grads["out"] += h.T @ d
            grads["out_bias"] += d.sum(0)
            d_xs.append(d @ w["out"].T)
        for (kernel, recurrent, *_), grad, steps in reversed(
            list(zip(w["lstms"], grads["lstms"], layers))
        ):
            d_h, d_c = np.zeros_like(steps[0][1]), np.zeros_like(steps[0][2])
            below = [None] * length
            for s in reversed(range(length)):
                x, h, c, i, f, g, o, new = steps[s]
                d_h = d_h + d_xs[s]
                d_c = d_c + d_h * o * (1 - np.tanh(new) ** 2)
                d_z = np.concatenate(
                    [
                        d_c * g * i * (1 - i),
                        d_c * c * f * (1 - f),
                        d_c * i * (1 - g**2),
                        d_h * np.tanh(new) * o * (1 - o),
                    ],
                    -1,
                )
                grad[0] += x.T @ d_z
                grad[1] += h.T @ d_z
                grad[2] += d_z.sum(0)
                grad[3] += d_z.sum(0)
                below[s] = d_z @ kernel.T
                d_h, d_c = d_z @ recurrent.T, d_c * f
            d_xs = below
        for d, saved in zip(d_xs, reads):
            self.read_back(d, saved, grads)
        flat = list(_arrays(grads))
        norm = np.sqrt(sum(np.sum(g**2) for g in flat))
        for weight, grad in zip(_arrays(w), flat):
            weight -= rate * grad * min(1, clip / norm)
        return loss, norm


def _arrays(tree):
    if isinstance(tree, np.ndarray):
        yield tree
    else:
        for branch in [tree[k] for k in sorted(tree)] if isinstance(tree, dict) else tree:
            yield from _arrays(branch)
