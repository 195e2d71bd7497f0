"""The ways in which a run ends before its last step."""

import math
import signal
import threading

from keras_unrolled.engine import checkpoint


class NonFiniteLossError(ArithmeticError):
    """The loss or its gradient is NaN or infinite; the message names the step.

    A note on it (`__notes__`) says which checkpoint is left in the run's folder.
    """


class WorkersGoneError(ConnectionError):
    """Another worker does not answer any more; the message says what to do."""


class Stopped(InterruptedError):  # noqa: N818  it is no error
    """The run was asked to stop and has saved its state.

    Args:
        message: string.
        exit_code: int, 0 after SIGTERM, 130 after Ctrl-C.
    """

    def __init__(self, message, exit_code=0):
        super().__init__(message)
        self.exit_code = exit_code


class StopRequest:
    """Remembers SIGTERM and Ctrl-C instead of ending the process, while it is entered.

    A second Ctrl-C interrupts at once.

    Attributes:
        signal: the signal that was received, or None.
    """

    def __enter__(self):
        self.signal = None
        self.previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.previous[number] = signal.signal(number, self._remember)
        return self

    def _remember(self, number, frame):
        self.signal = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def __bool__(self):
        return self.signal is not None

    @property
    def exit_code(self):
        """The exit code of a program that stops for this request."""
        return 130 if self.signal == signal.SIGINT else 0

    def __exit__(self, *error):
        for number, handler in self.previous.items():
            signal.signal(number, handler)


def check_finite(losses, step, job):
    """Raises `NonFiniteLossError` for the first loss that is not finite.

    Args:
        losses: sequence of floats, one per step.
        step: int, how many steps were taken before these.
        job: the `Job`.
    """
    for number, loss in enumerate(losses, start=step + 1):
        if not math.isfinite(loss):
            epoch = -(-number // job.steps_per_epoch)
            error = NonFiniteLossError(
                f"Expected a finite loss and gradient. Step {number} (epoch {epoch}) gave {loss}. "
                f"Lower the learning rate (now at most {job.recipe.learning_rate}), lengthen the "
                "warm-up or clip the gradient."
            )
            # No part of the message: who catches the error may remove the folder.
            saved = checkpoint.list_steps(job.workdir)
            state = (
                f"The checkpoint of step {saved[0]:,} is intact" if saved else "No checkpoint is"
            )
            error.add_note(f"{state} in {job.workdir}.")
            raise error
