"""The training step on TensorFlow: `strategy.run`, several steps per call."""

import tensorflow as tf

from keras_unrolled.engine.objectives import classification
from keras_unrolled.engine.optimizers import l2_coefficients
from keras_unrolled.layers.fused_mix import fused_mixing


def make_step(model, optimizer, recipe, strategy, *, preprocess=None, objective=None):
    """A compiled function that takes some steps and returns their losses and hits.

    Gradients are first summed over the parts of a batch and over the replicas and then clipped,
    so that the result does not depend on the number of replicas; weight decay is added after
    clipping, as in torch.

    Args:
        model: a model built in the strategy's scope.
        optimizer: a Keras optimizer built on the model's trainable variables.
        recipe: a `Recipe`.
        strategy: a `tf.distribute.Strategy`.
        preprocess: optional function from what the iterator yields to the network's input.
        objective: optional function of (model, inputs, targets) that returns this part's share of
            the batch's loss and of its hits; the default is `classification(recipe)`.

    Returns:
        A function of (iterator, steps) that returns two float tensors of shape `(steps,)`: the
        mean loss and the share of right answers of each step, before its update. A step takes
        `recipe.accumulate` elements of the iterator.
    """
    variables = model.trainable_variables
    objective = objective or classification(recipe)
    l2 = l2_coefficients(recipe, variables)
    share = 1
    if hasattr(optimizer, "_all_reduce_sum_gradients"):
        optimizer._all_reduce_sum_gradients = list  # they are summed before they are clipped
    else:  # Keras's optimizer sums over the replicas once more: each adds its share
        share = strategy.num_replicas_in_sync

    def compute_part(inputs, targets):
        if preprocess is not None:
            inputs = preprocess(inputs)
        with fused_mixing(), tf.GradientTape() as tape:
            loss, hits = objective(model, inputs, targets)
        return tape.gradient(loss, variables), loss, hits

    def replica_step(parts):
        results = [compute_part(inputs, targets) for inputs, targets in parts]
        gradients = [tf.add_n(list(gs)) for gs in zip(*(gradients for gradients, _, _ in results))]
        loss, hits = (tf.add_n([row[i] for row in results]) for i in (1, 2))
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(gradients)
        if recipe.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, recipe.clip_norm, use_norm=norm)
        # A ReLU turns NaN into 0, so that the loss alone may stay finite in a broken network.
        loss = tf.where(tf.math.is_finite(norm), loss, tf.cast(float("nan"), loss.dtype))
        gradients = [
            g + tf.cast(decay, g.dtype) * v.value if decay else g
            for g, v, decay in zip(gradients, variables, l2)
        ]
        optimizer.apply([g / share for g in gradients])
        return loss, hits

    @tf.function(jit_compile=False)
    def run(iterator, steps):
        dtype = model.compute_dtype if model.compute_dtype == "float64" else "float32"
        losses = tf.TensorArray(dtype, size=steps)
        hits = tf.TensorArray(dtype, size=steps)
        for i in tf.range(steps):
            parts = [next(iterator) for _ in range(recipe.accumulate)]
            loss, hit = strategy.run(replica_step, args=(parts,))
            losses = losses.write(i, strategy.reduce("SUM", loss, axis=None))
            hits = hits.write(i, strategy.reduce("SUM", hit, axis=None))
        return losses.stack(), hits.stack()

    return run
