"""The progress bar of a run."""

from keras_unrolled.progress import WITHOUT_BAR, progress


def make_bar(job, state, hidden=False):
    """A bar over everything that a job reads, on standard error."""
    units = job.recipe.units_per_step
    return progress(
        total=job.total_steps * units,
        initial=state["step"] * units,
        unit=job.recipe.step_unit,
        hidden=hidden,
        bar_format=WITHOUT_BAR,
    )


def show(bar, job, state, losses, hits):
    """Moves a bar by some steps and shows their mean loss and accuracy."""
    epoch = job.epoch_of(state["step"])
    bar.set_description(f"{job.title} {epoch}/{job.recipe.epochs}", refresh=False)
    bar.set_postfix(loss=f"{losses.mean():.3f}", accuracy=f"{hits.mean():.3f}", refresh=False)
    bar.update(len(losses) * job.recipe.units_per_step)
