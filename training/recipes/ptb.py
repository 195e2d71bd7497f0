"""Penn Treebank: the language model of Kim et al. 2016 with every gating.

    python training/ptb.py --preset highway_small_ptb --data-dir DIR --workdir DIR

Two CPU cores take one to two hours for a small model and, by extrapolation, half a day for a large
one.

Kim et al. 2016, section 4, and their code: 20 texts read in parallel, 35 words per step, SGD at 1.0,
halved whenever the validation perplexity has not fallen by more than 1, gradients of the sum over
the steps clipped at 5, dropout 0.5, all weights drawn from -0.05 to 0.05, the best epoch kept. 30
epochs instead of their 25, after which the validation perplexity of the small coupled model was
still falling.

"variational" trains the same small network with the dropout of Gal & Ghahramani 2016, in the rates and
for the 70 epochs of Assylbekov & Takhanov 2018 (arXiv:1802.08375); the rate falls along a cosine. They
found that a character-aware network gains nothing from output vectors that its encoder makes, so the
dense layer stays. It has not been run to its end, and its rates are untuned.
"""

from dataclasses import replace

from keras_unrolled.engine import TextRecipe

PROGRAM, DATASET = "training/ptb.py", "ptb"
WORDS = (929_589, 73_760, 82_430)  # of train, valid and test: other texts get another name

GATINGS = {
    "plain": "plain",
    "resnet": "residual",
    "highway": "coupled",
    "highway_full": "full",
    "highway_c_only": "c_only",
    "highway_t_only": "t_only",
}


def make_recipe(gating, size):
    """The recipe of one network, "small" or "large"."""
    return TextRecipe(
        network={"builder": "character_lm", "size": size, "gating": gating},
        epochs=30,
        batch_size=20,
        length=35,
        learning_rate=1.0,
        decay="plateau",
        clip_norm=5.0,
        precision="float32",
    )


RECIPES = {
    "kim": {
        f"{family}_{size}_ptb": make_recipe(gating, size)
        for size in ("small", "large")
        for family, gating in GATINGS.items()
    },
    "variational": {
        "highway_variational_small_ptb": replace(
            make_recipe("coupled", "small"),
            network={
                **make_recipe("coupled", "small").network,
                "variational": True,
                "dropout": 0.3,
                "recurrent_dropout": 0.3,
            },
            epochs=70,
            decay="cosine",
            precision="mixed_bfloat16",
        )
    },
}
