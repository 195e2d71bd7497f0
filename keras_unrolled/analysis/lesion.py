"""Blocks left out: Srivastava et al. 2015, Veit et al. 2016."""

from keras_unrolled import checks
from keras_unrolled.analysis.planning import Plan, run_plans
from keras_unrolled.analysis.schedule import check_blocks
from keras_unrolled.analysis.stack import as_stack
from keras_unrolled.layers.mixing import LESIONS


def lesion(model, images, labels=None, *, blocks=None, how=None, recalibrate=None, progress=None):
    """Scores of a network with blocks left out, one by one or several at once.

    A block is left out by T = 0 with C = 1 ("identity"), so that it passes on its input or, in a
    transition block, the shortcut; where C is free, as in full and c_only, also with C as it is
    ("keep_carry"). Transition blocks of plain networks have nothing to pass on and are not among the
    default ones. After a block is left out the later ones see features of another distribution than
    their batch statistics are of; recalibrated statistics tell that apart from what the block computes.

    Args:
        model: what `as_stack` takes, with a head.
        images: as `Samples` takes them.
        labels: optional int array `(n,)`. Without, only "kl" and "agreement" are measured.
        blocks: optional list of a block's name or a list of names, left out together; the default is
            each block alone.
        how: optional string, "identity" or "keep_carry"; the default is both where both differ.
        recalibrate: optional images; True takes `images`. See `run_schedules`.
        progress: optional string, the title of a progress bar.

    Returns:
        A `Table` with columns "block", names joined by "+", or "none" for the network as it is; "how";
        "recalibrated"; and the scores of `run_schedules`.

    Raises:
        InputError: as `Schedule.lesion` and `run_schedules`.

    Example:
        >>> import keras_unrolled as ku
        >>> model = ku.models.highway(8, dataset="cifar", width_multiplier=0.25)
        >>> images = ku.data.load_sample().images[:8]
        >>> ku.analysis.lesion(model, images)["block"]
        ['none', 'stage1_block1', 'stage2_block1', 'stage3_block1']
    """
    stack = as_stack(model)
    plan = plan_lesion(stack, blocks=blocks, how=how)
    data = (images, labels)
    return run_plans(stack, data, [plan], recalibrate=recalibrate, progress=progress)["lesion"]


def plan_lesion(stack, *, blocks=None, how=None):
    """The `Plan` of `lesion`, of a `BlockStack`."""
    if how is not None:
        checks.one_of("how", how, LESIONS)
    schedules = {}
    if blocks is not None and blocks != []:
        blocks = check_blocks(blocks)
    for group in stack.removable if blocks is None else blocks:
        names = [group] if isinstance(group, str) else check_blocks(group)
        free = all(stack.blocks[stack.find(n)].gating in ("full", "c_only") for n in names)
        for kind in [how] if how else LESIONS if free else LESIONS[:1]:
            schedule = stack.schedule()
            for name in names:
                schedule = schedule.lesion(name, kind)
            schedules["+".join(names), kind] = schedule
    return Plan("lesion", ("block", "how"), ("none", "none"), schedules)
