"""What the engine executes: one training run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.engine.recipe import Recipe


@dataclass(kw_only=True)
class Job:
    """A training run.

    Args:
        recipe: a `Recipe`.
        build: function without arguments that returns the model, called in the strategy's scope.
        stream: function of (step, parts=, worker=, workers=), as in `keras_unrolled.data.streams`:
            a `tf.data.Dataset` of (inputs, targets) that starts at that step.
        steps_per_epoch: int.
        workdir: path of the run's folder. Several workers need the same one.
        preprocess: optional function from what the stream yields to the network's input, which
            the device computes.
        objective: optional function of (model, inputs, targets) that returns this part's share
            of the batch's loss and of its hits; a classifier's loss by default.
        class_weights: optional list of float, the weight of each class in a classifier's loss.
        rate_factors: optional function of the model that returns a factor of the learning rate
            for each trainable variable.
        schedule: optional schedule of the learning rate, as Keras's optimizers take it; the
            recipe's by default.
        after_steps: optional function of (losses, state), called with the losses of some steps,
            also with one that is not finite, before that ends the run.
        evaluate: optional function of the model that returns a dict of figures for the log.
        after_epoch: optional function of (model, optimizer, figures, state), called after the
            log is written and before the checkpoint. What it keeps in the state it finds there
            again; `state["finished"] = True` ends the run.
        identity: JSON-able dict of what must be the same on resume besides the recipe, such as
            the hash of the data.
        initial_state: dict that the state of a new run starts with.
        checkpoint_every: optional int, steps between checkpoints; None means one epoch.
        timeout: optional seconds after which a call of several steps is considered hung.
        average: whether averaged weights and their batch statistics are put into the model at the
            end, if the recipe has them.
        title: what the progress bar calls an epoch.
    """

    recipe: Recipe
    build: Callable[[], Any]
    stream: Callable[..., Any]
    steps_per_epoch: int
    workdir: Path
    preprocess: Callable[[Any], Any] | None = None
    objective: Callable[..., Any] | None = None
    class_weights: list[float] | None = None
    rate_factors: Callable[[Any], list[float]] | None = None
    schedule: Any = None
    after_steps: Callable[..., None] | None = None
    evaluate: Callable[[Any], dict[str, float]] | None = None
    after_epoch: Callable[..., None] | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    initial_state: dict[str, Any] = field(default_factory=dict)
    checkpoint_every: int | None = None
    timeout: float | None = None
    average: bool = True
    title: str = "epoch"

    def __post_init__(self):
        self.workdir = Path(self.workdir)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.epochs * self.steps_per_epoch

    def epoch_of(self, step: int) -> int:
        """The epoch, from 1, that the step with this number (from 1) belongs to."""
        return -(-step // self.steps_per_epoch)

    def check_batch(self, replicas: int) -> None:
        """Raises `InputError` if the batch does not divide by the replicas and parts."""
        recipe, parts = self.recipe, replicas * self.recipe.accumulate
        if recipe.batch_size % parts:
            raise checks.InputError(
                f"Expected a batch that divides by {replicas} replicas and {recipe.accumulate} "
                f"parts. Received: batch_size={recipe.batch_size}. Use a multiple of {parts}, such "
                f"as {-(-recipe.batch_size // parts) * parts}."
            )
