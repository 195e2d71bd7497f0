"""Names of the files in a preset's folder."""

RECORD = "record.json"
TASK, BACKBONE_WEIGHTS, HEAD_WEIGHTS = "task.json", "model.weights.h5", "task.weights.h5"
# Only `save_preset` writes golden outputs: where they are, there must be a record.
GOLDEN = "golden.npz"
MOST_GOLDEN = 2**25  # bytes of its file; one of an ImageNet preset has a twentieth
VOCABULARY = "assets/tokenizer"  # KerasHub's folder for the files of a tokenizer
REQUIRED = {"config.json", GOLDEN, BACKBONE_WEIGHTS, TASK, HEAD_WEIGHTS}
OPTIONAL = {
    f"{VOCABULARY}/vocabulary.json",
    "image_converter.json",
    "metadata.json",
    "preprocessor.json",
    "tokenizer.json",
}
