"""The experiments of a report: what each asks, how it is made, drawn and judged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unrolled.analysis import figures
from keras_unrolled.reporting import block_findings, gate_findings, schedule_findings
from keras_unrolled.reporting.verdicts import Context, Finding


@dataclass(frozen=True)
class Experiment:
    """One measurement as a reader meets it.

    Attributes:
        name: string, the measurement's and its CSV's.
        title: string.
        question: string.
        method: string.
        caption: string, of the figure.
        plot: function of a `Table`, a path and a gating, which draws the figure.
        judge: function of a `Table` and a `Context` to a list of `Finding`.
    """

    name: str
    title: str
    question: str
    method: str
    caption: str
    plot: Callable[..., Path]
    judge: Callable[[Any, Context], list[Finding]]


SCHEDULE = (
    "Accuracy has the 95% interval of its change, paired over the images (Newcombe 1998, method 10). "
    "Recalibrated rows use the batch statistics of the changed network, and are compared with the network "
    "that has nothing changed but is recalibrated, too."
)
UNLABELED = (
    "Without labels the share of images is measured whose answer stays that of the intact network."
)
EXPERIMENTS = (
    Experiment(
        "estimation_error",
        "Estimation error",
        "Does each block of a stage come closer to what the stage ends with?",
        "A is the output of the stage's last block. At each unit (a place and channel of "
        "the output) the mean and the standard deviation of a − A over the images are taken and averaged over height, width and channels (Greff et al. 2017, "
        "figure 3). As A is the last output, the raw error falls to 0 in any network, so the normalized "
        "error, std(a − A) / std(A), counts: a constant guess has 1.",
        "Estimation error by block: left the mean with the standard deviation as bars, right the "
        "normalized error with 95% intervals.",
        figures.plot_estimation_error,
        block_findings.judge_estimation_error,
    ),
    Experiment(
        "residual_mean",
        "Mean of the residual",
        "Do blocks leave the mean of their features alone, as unbiased estimates of the same features do?",
        "If all blocks of a stage estimate the same features without bias, E[F] = 0 at every unit (Greff et "
        "al. 2017, equations 6 to 9). The share of F's power that is its mean's is measured, less what "
        "chance gives; also for the output less the shortcut, which a last ReLU pushes up.",
        "The share of the power of F that is its mean's, by block, with 95% intervals.",
        figures.plot_residual_mean,
        block_findings.judge_residual_mean,
    ),
    Experiment(
        "lesion",
        "Blocks left out",
        "Does the network still work when a block is left out?",
        "Each block that can be is left out by T = 0, with C = 1 or, as `keep_carry`, with C as it is "
        "(Srivastava et al. 2015, Veit et al. 2016). " + SCHEDULE,
        "Scores with one block left out, with 95% intervals.",
        figures.plot_lesion,
        schedule_findings.judge_lesion,
    ),
    Experiment(
        "shuffle",
        "Blocks in another order",
        "Can blocks of a stage change places, and does more disorder do more damage?",
        "All swaps of two blocks of one shape and other orders of a stage's blocks are run (Veit et al. "
        "2016), against the number of pairs of the stage's blocks in reverse order. " + SCHEDULE,
        "Scores against the number of reversed pairs, with 95% intervals.",
        figures.plot_shuffle,
        schedule_findings.judge_shuffle,
    ),
    Experiment(
        "repeat",
        "Blocks repeated",
        "Can a block be run again on its own output, as a step of an iteration can?",
        "Each block of one shape is run several times in a row (Jastrzebski et al. 2018). "
        + SCHEDULE,
        "Scores with one block run several times, with 95% intervals.",
        figures.plot_repeat,
        schedule_findings.judge_repeat,
    ),
    Experiment(
        "parallel",
        "Blocks side by side",
        "Does each block need what the one before it has written?",
        "Neighbors of a stage, and all blocks of one shape in it, read the same input, and their changes "
        "are added. " + SCHEDULE,
        "Scores with blocks side by side, with 95% intervals.",
        figures.plot_parallel,
        schedule_findings.judge_parallel,
    ),
    Experiment(
        "layer_dropout_curve",
        "Layer dropout",
        "How many blocks can be missing before the network breaks?",
        "Sets of more and more blocks are drawn at random and left out (Huang et al. 2016, Veit et al. "
        "2016). The interval of a mean is Student's over the sets "
        "that were drawn, not over images. " + SCHEDULE,
        "Scores against the number of blocks left out: each set, and their mean.",
        figures.plot_layer_dropout_curve,
        schedule_findings.judge_layer_dropout_curve,
    ),
    Experiment(
        "gate_stats",
        "Gates",
        "How much of the old estimate do the gates keep, and how much of the new one do they take?",
        "T weighs the new estimate H and C the old one x. A coupled gate has C = 1 − T; T = 1 or C = 1 is "
        "fixed where the gating says so.",
        "Mean opening of the gates by block with the standard deviation over images and units as bars, and "
        "below the values of gates that are not fixed.",
        figures.plot_gates,
        gate_findings.judge_gate_stats,
    ),
    Experiment(
        "optimal_gate",
        "Optimal gates",
        "Do the gates weigh the two estimates as their errors ask for?",
        "The mix of H and x with the least error against A is T* = (Var e_old − Cov) / Var(e_old − e_new) "
        "(Greff et al. 2017, equations 10 and 11), and for free gates a regression of A on H and x. T* is "
        "the sum of this block's own slope and that of the later blocks. For a stage's last block, whose "
        "output is A, it is a tautology (it holds by construction) and not judged. Means over the units are "
        "weighted by the variance of H − x: units where both estimates agree count for nothing.",
        "Trained and optimal gates by block with 95% intervals, and the two parts of the optimal one.",
        figures.plot_optimal_gate,
        gate_findings.judge_optimal_gate,
    ),
    Experiment(
        "readout",
        "Readout",
        "Can the answer be read out before the last block, and better with each block?",
        "The head as it is reads the output of every block of the last stage. Where asked for, linear "
        "probes trained on features averaged over height and width read the output of every block (Alain & "
        "Bengio 2016). Accuracy has the 95% interval of its change, paired over the images.",
        "Accuracy read out after blocks against the multiply-accumulates of an image until there.",
        figures.plot_readout,
        block_findings.judge_readout,
    ),
    Experiment(
        "geometry",
        "Length and direction of F",
        "Do blocks make small steps, and down the loss?",
        "F is the mix less the shortcut h. Its length is compared with that of h, and its direction with "
        "the negative gradient of each image's loss (Jastrzebski et al. 2018). The sign depends on where the "
        "gradient is taken: at the block's input, through the rest of the network, or where the head "
        "reads the block out directly.",
        "The length of F relative to its input, the cosine of input and output, and that of F with the "
        "negative gradient (95% intervals).",
        figures.plot_geometry,
        block_findings.judge_geometry,
    ),
    Experiment(
        "cka",
        "Similarity of blocks",
        "Are features alike within a stage, and do they change between stages?",
        "Linear CKA with the unbiased estimate of HSIC (Kornblith et al. 2019, Nguyen et al. 2021) of the "
        "outputs of all pairs of blocks; 1 means alike up to rotation and scale.",
        "Linear CKA of all pairs of blocks.",
        figures.plot_cka,
        block_findings.judge_cka,
    ),
    Experiment(
        "separation",
        "Separation of classes",
        "Does each block separate the classes by the same factor?",
        "The separation fuzziness D = tr(SSw SSb⁺) compares the spread within classes with that of the "
        "class means (He & Su 2022): SSw sums the squares within classes, and SSb⁺ is the pseudoinverse of "
        "that between them. A constant factor makes the natural logarithm of D a line in depth. NC1, the "
        "first sign of neural collapse, is the spread within classes relative to that between (Papyan et "
        "al. 2020), 0 where each class is a point. The outputs are averaged over height and width.",
        "Left the natural logarithm of D by block with 95% intervals and the line through the blocks, right NC1.",
        figures.plot_separation,
        block_findings.judge_separation,
    ),
)
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
