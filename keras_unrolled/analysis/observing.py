"""One pass over data in which any number of measurements look at what the blocks do."""

import keras
from keras import ops

from keras_unrolled import checks
from keras_unrolled.analysis.compiled import Runner
from keras_unrolled.analysis.running import count_bytes, split_pair
from keras_unrolled.analysis.samples import Samples
from keras_unrolled.analysis.stack import as_stack, require_head

PLACES = ("input", "output", "readout")


class Accumulator:
    """A measurement that is collected batch by batch. Its memory does not grow with the images.

    Attributes:
        name: string, the measurement's name.
        needs_parts: bool, whether it reads `Trace.parts`.
        needs_labels: bool.
    """

    name = ""
    needs_parts = False
    needs_labels = False

    def start(self, stack):
        """Called once, before the first batch."""

    def update(self, trace):
        """Called for each batch with its `Trace`."""
        raise NotImplementedError

    def result(self):
        """The `Table`."""
        raise NotImplementedError


class Trace:
    """What one batch does in a stack.

    Attributes:
        labels: int array `(batch,)` or None.
        inputs: dict from a block's name to its input.
        outputs: dict from a block's name to its output.
        parts: dict from a block's name to its parts, as `Block.parts`, where they are needed.
        gradients: dict from a place that was asked for to a dict from a block's name to the gradient
            of each image's loss there: at the block's "input", its "output", or its output as the
            head reads it out directly ("readout"), which only blocks of the last stage have.
        scores: tensor `(batch, classes)`, or None without a head.
    """

    def __init__(self, stack, runner, x, labels, with_parts):
        self.labels, self.gradients = labels, {}
        self.inputs, self.outputs, self.parts = {}, {}, {}
        x = self.first = runner(stack.stem, x)
        for block in stack.blocks:
            self.inputs[block.name] = x
            if with_parts:
                self.parts[block.name] = runner(block, x, "parts")
                x = self.parts[block.name]["output"]
            else:
                x = runner(block, x)
            self.outputs[block.name] = x
        self.scores = runner(stack.head, x) if stack.head else None


def observe(model, data, accumulators, *, gradients=None, batch_size=None, progress=None):
    """Passes data through a network once, for all accumulators.

    Args:
        model: what `as_stack` takes.
        data: images, or a pair `(images, labels)`, as `Samples` takes them.
        accumulators: list of `Accumulator`, each with its own name.
        gradients: optional string or tuple of strings, where the gradient of each image's loss is
            taken: "input", "output" or "readout", see `Trace`.
        batch_size: optional int; the default is what memory allows, 250 at most.
        progress: optional string, the title of a progress bar.

    Returns:
        A dict from an accumulator's name to its `Table`.

    Raises:
        InputError: for labels that are needed and missing, and for data that do not fit.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> class Sizes(ku.analysis.Accumulator):
        ...     name = "sizes"
        ...     def start(self, stack):
        ...         self.rows = []
        ...     def update(self, trace):
        ...         for block, output in trace.outputs.items():
        ...             self.rows.append({"block": block, "images": len(output)})
        ...     def result(self):
        ...         return ku.analysis.Table(self.rows)
        >>> ku.analysis.observe(model, images, [Sizes()])["sizes"]
        block          images
        stage1_block1       8
        stage2_block1       8
        stage3_block1       8
    """
    stack = as_stack(model)
    images, labels = split_pair(data)
    samples = Samples(stack, images, labels)
    for accumulator in accumulators:
        if accumulator.needs_labels:
            samples.needs_labels(accumulator.name)
        accumulator.start(stack)
    with_parts = any(a.needs_parts for a in accumulators)
    runner = Runner(stack)
    places = (gradients,) if isinstance(gradients, str) else tuple(gradients or ())
    for place in places:
        checks.one_of("gradients", place, PLACES)
        samples.needs_labels("the gradient of the loss")
        require_head(stack)
    steep = Runner(stack, differentiable=True) if places else None
    size = batch_size or samples.batch_size(lambda x: count_bytes(stack, runner, x))
    for x, y in samples.batches(size, progress):
        trace = Trace(stack, runner, x, y, with_parts)
        trace.gradients = {place: _find_gradients(stack, steep, trace, place) for place in places}
        for accumulator in accumulators:
            accumulator.update(trace)
    return {a.name: a.result() for a in accumulators}


def _find_gradients(stack, runner, trace, place):
    """Gradients of each image's cross-entropy at every block, a dict of `Trace.gradients`."""
    labels = ops.convert_to_tensor(trace.labels)
    if place == "readout":
        last = [b for b in stack.blocks if b.stage == stack.blocks[-1].stage]
        states = [trace.outputs[block.name] for block in last]

        def read_out(shifts):
            scores = [runner(stack.head, s + shift) for s, shift in zip(states, shifts)]
            return sum(_cross_entropy(stack, s, labels) for s in scores)

        found = find_gradient(read_out, [ops.zeros_like(s) for s in states])
        return {block.name: gradient for block, gradient in zip(last, found)}

    def loss(shifts):
        x = trace.first + shifts[0]
        for block, shift in zip(stack.blocks, shifts[1:]):
            x = runner(block, x) + shift
        return _cross_entropy(stack, runner(stack.head, x), labels)

    states = [trace.first, *trace.outputs.values()]
    found = find_gradient(loss, [ops.zeros_like(s) for s in states])
    found = found[:-1] if place == "input" else found[1:]
    return {block.name: gradient for block, gradient in zip(stack.blocks, found)}


def _cross_entropy(stack, scores, labels):
    """The sum over images, so that an image's gradient does not depend on the others."""
    return ops.sum(
        keras.losses.sparse_categorical_crossentropy(
            labels, scores, from_logits=stack.kind == "logits"
        )
    )


def find_gradient(loss, arguments):
    """The gradients of a function of a list of tensors, on any backend.

    Args:
        loss: function from the list to a scalar tensor.
        arguments: list of float tensors.

    Returns:
        A list or tuple of tensors of the arguments' shapes.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(arguments)
            value = loss(arguments)
        return tape.gradient(value, arguments)
    if backend == "jax":
        import jax

        return jax.grad(loss)(arguments)
    import torch

    for argument in arguments:
        argument.requires_grad_(True)
    with torch.enable_grad():
        return torch.autograd.grad(loss(arguments), arguments)
