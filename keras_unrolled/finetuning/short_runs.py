"""Short runs, by which a fine-tuning chooses how to train."""

import dataclasses


def shorten(job, steps, folder, make_stream, **changes):
    """A job of a few steps of another one: from the same weights, by the same step, on the same data.

    Args:
        job: the `Job` of a phase.
        steps: int.
        folder: path of the short run's folder.
        make_stream: function of (recipe, steps_per_epoch) that returns a stream.
        **changes: fields of the `Job` to replace; "learning_rate" is that of its recipe.
    """
    rate = changes.pop("learning_rate", job.recipe.learning_rate)
    recipe = dataclasses.replace(job.recipe, learning_rate=rate, epochs=1)
    longer = dataclasses.replace(recipe, epochs=-(-steps // job.steps_per_epoch))
    settings = {
        "recipe": recipe,
        "stream": make_stream(longer, job.steps_per_epoch),
        "steps_per_epoch": steps,
        "workdir": folder,
        "after_epoch": None,
        "initial_state": {},
    }
    return dataclasses.replace(job, **{**settings, **changes})
