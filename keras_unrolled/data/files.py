"""Image files that are read when they are needed."""

import os
from collections.abc import Iterable
from pathlib import Path

from keras_unrolled.data.decoding import read_image


class ImageFiles:
    """The images of a list of files, read when they are accessed.

    Args:
        paths: list of paths.
        root: optional path of the folder that all of them are in; it is no part of their keys.
        alias: optional string, what to call that folder in messages: that of a zip file is in the cache.

    A slice gives a list of uint8 arrays `(height, width, 3)`, each of its own size.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> import keras_unrolled as ku
        >>> with tempfile.NamedTemporaryFile(suffix=".png") as file:
        ...     Image.new("RGB", (40, 30)).save(file.name)
        ...     ku.data.ImageFiles([file.name])[:1][0].shape
        (30, 40, 3)
    """

    def __init__(
        self,
        paths: Iterable[str | Path],
        root: str | Path | None = None,
        alias: str | None = None,
    ) -> None:
        self.paths, self.root, self.alias = [Path(path) for path in paths], root, alias

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen):
        if isinstance(chosen, slice):
            return [read_image(path) for path in self.paths[chosen]]
        return ImageFiles([self.paths[i] for i in chosen], self.root, self.alias)

    def part(self, start: int, stop: int) -> "ImageFiles":
        """The images `start:stop`, not read yet."""
        return ImageFiles(self.paths[start:stop], self.root, self.alias)

    def find_inodes(self) -> list[tuple[int, int]]:
        """Device and number of each file on the disk, which are the same for all links to it."""
        return [(status.st_dev, status.st_ino) for status in map(os.stat, self.paths)]

    def shown(self) -> list[str]:
        """What messages and tables call each file: its path, with the alias in place of the root."""
        if self.alias is None:
            return [str(path) for path in self.paths]
        return [f"{self.alias}/{key}" for key in self.keys()]

    def keys(self) -> list[str]:
        """What identifies each image wherever the data are: its path from the root on."""
        if self.root is None:
            return [path.name for path in self.paths]
        return [Path(os.path.relpath(path, self.root)).as_posix() for path in self.paths]
