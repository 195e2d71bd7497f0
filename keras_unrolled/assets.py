"""The cache of what is made from fetched files: converted presets, unpacked archives, pictures."""

from pathlib import Path

from keras_unrolled import checks


def kept_folder(namespace: str, subfolder: str, title: str) -> Path:
    """A folder of Hugging Face's cache of assets, which may be emptied at any time.

    Args:
        namespace: string, what kind of thing it is.
        subfolder: string, which one.
        title: string, what it is for, for a message.

    Raises:
        InputError: if the cache cannot be written.
    """
    import huggingface_hub

    try:
        return huggingface_hub.cached_assets_path(
            "keras_unrolled",
            namespace=namespace,
            subfolder=subfolder,
            assets_dir=huggingface_hub.constants.HF_ASSETS_CACHE,  # as it is now, not at import
        )
    except (OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected to make a folder for {title} in the cache. It failed: {error}. Is there room on "
            "the disk, and may it be written? HF_HOME sets another place."
        ) from error
