"""Zip files of class folders.

They are unpacked into the cache, not read in place: every reader of images (TensorFlow's graphs, several
threads, the hashes that a resumed run compares) takes paths, and compressed entries cannot be read from
their middle. The cache knows an archive by its content, so that each is unpacked once.
"""

import dataclasses
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from keras_unrolled import assets, checks, files
from keras_unrolled.data.decoding import SUFFIXES
from keras_unrolled.data.examples import Examples
from keras_unrolled.data.files import ImageFiles
from keras_unrolled.data.listing import is_preset, is_system, list_folders, list_images
from keras_unrolled.progress import progress

SUFFIX = ".zip"
MOST_ENTRIES = 2**21
MOST_BYTES_OF_A_FILE = 2**30
# Bytes that an archive may unpack to, whatever its size, and how many times its size beyond that:
# pictures hardly compress.
MOST_BYTES, MOST_RATIO = 2**30, 100
CHUNK = 2**20  # bytes that are unpacked at once
UTF_8 = 0x800  # the flag of an entry whose name is in UTF-8
ENCRYPTED = 0x1


@dataclasses.dataclass(frozen=True)
class _Entry:
    name: str
    info: zipfile.ZipInfo

    @property
    def size(self):
        """Bytes to unpack: files of other kinds are only counted, so that they are left empty."""
        is_picture = self.name.lower().endswith(SUFFIXES)
        return self.info.file_size if is_picture else 0


def is_archive(path: str | Path) -> bool:
    """Whether a path is that of a file whose name ends in `.zip`."""
    path = Path(path)
    return path.suffix.lower() == SUFFIX and os.path.isfile(path)


@contextmanager
def unpacked(path: str | Path) -> Iterator[Path]:
    """The folder that a zip file holds, unpacked into the cache.

    A folder that is alone at the top, and holds folders itself, is stepped into. Hidden entries and
    those of the system are left out, and files that are no images are empty.

    Args:
        path: path of the zip file.

    Raises:
        InputError: for what is no zip file, one that is damaged, encrypted, has links, the same name
            twice or names that lead out of it, or unpacks to far more than its size; and, with the
            archive's path in place of the folder's, for those raised within.
    """
    path = Path(path)
    root = unpack(path)
    folder = _find_top(root)
    try:
        yield folder
    except checks.InputError as error:
        raise checks.InputError(_rename(str(error), folder, path)) from error


def as_read_from(examples: Examples, folder: Path, path: str | Path) -> Examples:
    """Examples of an unpacked folder, whose split, notes and files name the archive instead."""
    images = ImageFiles(
        examples.images.paths,
        examples.images.root,
        alias=_rename(str(examples.images.root), folder, path),
    )
    return dataclasses.replace(
        examples,
        images=images,
        split=_rename(examples.split, folder, path),
        notes=tuple(_rename(note, folder, path) for note in examples.notes),
    )


def unpack(path: Path) -> Path:
    """The folder of the cache with the content of a zip file; raises as `unpacked`."""
    with _opened(path) as archive:
        entries = _list_entries(archive, path)
        digest = files.fingerprint(path)["sha256"]
        place = assets.kept_folder("archives", digest[:32], path.name) / "files"
        lock = filelock.FileLock(place.with_suffix(".lock"))
        with suppress(NotImplementedError):  # a file system without locks
            lock.acquire()
        try:
            if not _is_complete(place, entries):
                files.check_room(place, sum(entry.size for entry in entries))
                with files.written_aside(place) as aside:
                    _extract(archive, entries, aside, path)
        finally:
            lock.release()
    return place


@contextmanager
def _opened(path):
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises whatever a damaged directory leads it to
        raise _damaged(path, error) from error
    with archive:
        yield archive


def _damaged(path, reason):
    return checks.InputError(
        f"Expected a complete zip file at {path}. It cannot be unpacked ({checks.first_line(reason, 120)}). "
        "Copy or make it again; nothing was kept."
    )


def _list_entries(archive, path):
    """The entries that count, once all have been found harmless."""
    infos = archive.infolist()
    if len(infos) > MOST_ENTRIES:
        raise _refused(path, f"{len(infos):,} entries, more than {MOST_ENTRIES:,}")
    entries: dict[str, _Entry] = {}
    for info in infos:
        name = _read_name(info)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name or re.match("[A-Za-z]:", name):
            raise _refused(path, f"the entry {name!a:.100}, whose name leads out of it")
        if any(map(is_system, parts)) or not parts:
            continue
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(path, f"the entry {name!a:.100}, which is a link or device")
        if info.flag_bits & ENCRYPTED:
            raise _refused(path, f"the entry {name!a:.100}, which is encrypted")
        entry = _Entry("/".join(parts) + "/" * name.endswith("/"), info)
        if entry.name in entries and not name.endswith("/"):
            raise _refused(path, f"the entry {name!a:.100} twice")
        if entry.size > MOST_BYTES_OF_A_FILE:
            raise _refused(path, f"the entry {name!a:.100} of {entry.size:,} bytes")
        entries[entry.name] = entry
    _check_tree(entries, path)
    size = sum(entry.size for entry in entries.values())
    if size > max(MOST_BYTES, MOST_RATIO * os.path.getsize(path)):
        raise _refused(path, f"{size:,} bytes of pictures, over {MOST_RATIO} times its own size")
    return list(entries.values())


def _check_tree(entries, path):
    """Rejects a file that other entries are in, as in a folder."""
    for name in entries:
        above = name.rstrip("/")
        while "/" in above:
            above = above.rpartition("/")[0]
            if above in entries:
                raise _refused(path, f"{above!a:.100} as a file and as a folder")


def _refused(path, reason):
    return checks.InputError(
        f"Expected a zip file of class folders that is safe to unpack at {path}. Found {reason}. "
        "Nothing was unpacked. Unpack it yourself, and pass the folder."
    )


def _read_name(info):
    """An entry's name; macOS writes UTF-8 without saying so, and old programs write backslashes."""
    name = info.orig_filename  # as it is in the file: `filename` ends at a zero
    if not info.flag_bits & UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _is_complete(place, entries):
    """Whether a folder has every entry in its size."""
    try:
        return place.is_dir() and all(
            entry.name.endswith("/") or os.path.getsize(place / entry.name) == entry.size
            for entry in entries
        )
    except OSError:
        return False


def _extract(archive, entries, aside, path):
    bar = progress(
        entries, description=f"unpacking {path.name}", unit="files", hidden=len(entries) < 1_000
    )
    for entry in bar:
        target = aside / entry.name
        if entry.name.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with open(target, "xb") as sink:
            for part in _read(archive, entry, path) if entry.size else ():
                written += sink.write(part)
        if written != entry.size:
            raise _damaged(path, f"{entry.name!a:.100} ends early")


def _read(archive, entry, path):
    """The content of an entry in parts, never more than its size."""
    try:
        with archive.open(entry.info) as source:
            while part := source.read(CHUNK):
                yield part
    except Exception as error:  # as above; each method of compression has its own
        raise _damaged(path, f"{entry.name!a:.100}: {checks.first_line(error)}") from error


def _find_top(folder):
    """The folder of class folders: the one that archives of a folder have alone at their top."""
    while True:
        inner = list_folders(folder)
        if len(inner) != 1 or list_images(folder):
            return folder
        if is_preset(inner[0]) or not list_folders(inner[0]):
            return folder
        folder = inner[0]


def _rename(text, folder, path):
    return text.replace(str(folder), str(path))
