"""Initial values of convolutions."""

import contextlib
import contextvars

_loading = contextvars.ContextVar("loading", default=False)


@contextlib.contextmanager
def awaiting_weights(wanted=True):
    """Inside, new kernels are zeros if that is wanted: what is loaded next need not be drawn first."""
    token = _loading.set(wanted)
    try:
        yield
    finally:
        _loading.reset(token)


def kernel_initializer():
    """He et al. 2015 (arXiv 1502.01852), or zeros for a network that awaits its weights."""
    return "zeros" if _loading.get() else "he_normal"
