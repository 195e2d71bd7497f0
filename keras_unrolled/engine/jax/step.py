"""The training step on JAX: several steps per call, on one device or on all of a mesh."""

import jax
import jax.numpy as jnp
import keras

from keras_unrolled.engine.optimizers import l2_coefficients


def make_steps(model, optimizer, recipe, objective, batches):
    """A compiled function that takes some steps.

    The batch is one array over all devices, so that gradients are reduced before they are
    clipped, and batch statistics are those of the whole batch, as on one device. Weight decay is
    added after clipping, as in torch.

    Args:
        model: a Keras model.
        optimizer: a Keras optimizer built on the model's trainable variables.
        recipe: a `Recipe`.
        objective: function of (model, inputs, targets), as `engine.objectives` makes it.
        batches: see `engine.jax.batches`.

    Returns:
        A function of (values, table, block, count), of which values are those of
        `list_variables(model, optimizer)`. It returns new ones, and two float arrays
        `(steps_per_call,)`, the first `count` of which are the mean loss and the share of right
        answers of each step, before its update.
    """
    trainable, others, _ = list_variables(model, optimizer)
    adjust = adjust_gradients(recipe, trainable)

    def compute(weights, rest, inputs, targets):
        mapping = [*zip(trainable, weights), *zip(others, rest)]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            loss, hits = objective(model, inputs, targets)
        return loss, (hits, [scope.get_current_value(v) for v in others])

    def compute_part(weights, rest, table, rows):
        inputs, targets = batches.read(table, *rows)
        result = jax.value_and_grad(compute, has_aux=True)(weights, rest, inputs, targets)
        (loss, (hits, rest)), gradients = result
        return rest, (loss, hits, gradients)

    def take_step(values, table, rows):
        weights, rest, slots = values
        rest, total = compute_part(weights, rest, table, [row[0] for row in rows])
        for part in range(1, recipe.accumulate):
            rest, more = compute_part(weights, rest, table, [row[part] for row in rows])
            total = jax.tree.map(jnp.add, total, more)
        loss, hits, gradients = total
        gradients, norm = adjust(gradients, weights)
        # A ReLU turns NaN into 0, so that the loss alone may stay finite in a broken network.
        loss = jnp.where(jnp.isfinite(norm), loss, jnp.nan)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        return (weights, rest, slots), loss, hits

    def run_one(values, table, block, count):
        values, loss, hit = take_step(values, table, [array[0] for array in block])
        return values, loss[None], hit[None]

    def run(values, table, block, count):
        def body(i, carry):
            values, losses, hits = carry
            values, loss, hit = take_step(values, table, [array[i] for array in block])
            return values, losses.at[i].set(loss), hits.at[i].set(hit)

        empty = jnp.zeros(batches.steps_per_call)
        return jax.lax.fori_loop(0, count, body, (values, empty, empty))

    return jax.jit(run_one if batches.steps_per_call == 1 else run, donate_argnums=0)


def list_variables(model, optimizer):
    """The trainable, the other and the optimizer's variables, three lists."""
    return model.trainable_variables, model.non_trainable_variables, optimizer.variables


def adjust_gradients(recipe, variables):
    """A function from gradients and weights to clipped gradients with L2 decay, and their norm."""
    l2 = l2_coefficients(recipe, variables)

    def adjust(gradients, weights):
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g.astype("float32"))) for g in gradients))
        scale = 1.0
        if recipe.clip_norm is not None:
            scale = jnp.minimum(1.0, recipe.clip_norm / norm)
        adjusted = [
            g * jnp.asarray(scale, g.dtype) + (decay * w.astype(g.dtype) if decay else 0)
            for g, w, decay in zip(gradients, weights, l2)
        ]
        return adjusted, norm

    return adjust
