"""Files and folders that appear whole or not at all, and the hashes of files."""

import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from keras_unrolled import checks

FORMER = ".former"  # ends the name of a folder while it is being replaced
SECONDS_ELSEWHERE = 24 * 3600  # until a folder that another machine has begun counts as left
_asides: set[str] = set()  # the folders that this process is writing
_beginning = threading.Lock()  # held until a new one is among them: else it looks like one left


@contextmanager
def written_aside(folder, *, keep=False):
    """A new folder to write into, renamed to `folder` when all went well.

    Args:
        folder: path of the folder to make, or to replace.
        keep: bool, whether a folder that another process has made meanwhile stays, as in a
            cache; else it is replaced.

    Yields:
        The path of an empty folder next to it, which is removed after an error.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    check_writable(folder)
    folder = Path(folder)
    if folder.is_symlink():  # what it leads to is replaced, not the link
        folder = Path(os.path.realpath(folder))
    aside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _beginning:
            _recover(folder)
            aside = Path(tempfile.mkdtemp(prefix=_prefix(folder, os.getpid()), dir=folder.parent))
            _asides.add(aside.name)
        yield aside
        aside.chmod(0o755)  # mkdtemp makes it private
        former = aside.with_name(aside.name + FORMER)
        if folder.exists() and not keep:
            folder.rename(former)
        try:
            aside.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            if not (keep and folder.is_dir()):
                raise
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise checks.InputError(
            f"Expected to write the folder {folder}. It failed: {error}. Nothing was left "
            "behind. Is there room on the disk, and may it be written?"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
            _asides.discard(aside.name)


def _prefix(folder, process):
    """How the names of a process's folders next to `folder` begin."""
    return f"{_name_aside(folder)}-{socket.gethostname()}-{process}-"


def _name_aside(path):
    """How the names of folders next to a path begin, for that path only, of whatever length."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return f".{path.name[:20]}-{digest[:12]}"


def _recover(folder):
    """Ends what processes that were killed had begun: the folder is back, and nothing else left."""
    if not folder.parent.is_dir():
        return
    pattern = re.compile(re.escape(_name_aside(folder)) + r"-(.+)-(\d+)-[^-]+")
    for path in sorted(folder.parent.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is None:
            continue
        is_here, process = match[1] == socket.gethostname(), int(match[2])
        if is_here and _is_at_work(path, process):
            continue
        if path.name.endswith(FORMER) and not folder.exists():
            path.rename(folder)  # it was killed between the two renamings
        elif is_here or _is_old(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_at_work(path, process):
    """Whether a process of this machine is still at work on a folder.

    In a container that is started again processes have the same numbers as before.
    """
    if process == os.getpid():
        return path.name.removesuffix(FORMER) in _asides
    return _is_alive(process)


def _is_old(path):
    """Whether a folder is so old that no other machine is at work on it."""
    try:
        return time.time() - path.stat().st_ctime > SECONDS_ELSEWHERE
    except OSError:  # gone meanwhile
        return False


def _is_alive(process):
    try:
        with suppress(PermissionError):  # another user's
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextmanager
def replaced(path):
    """A path to write to, renamed to `path` when all went well.

    Yields:
        The path of a file next to it. After an error `path` is as it was before.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.part")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise checks.InputError(
            f"Expected to write {path}. It failed: {error}. Is there room on the disk, and may it "
            "be written?"
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path, text):
    """Writes a text file, aside first."""
    with replaced(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def locked(folder):
    """Makes a folder and keeps other processes that lock it out of it.

    The lock ends with the process, however that ends.

    Raises:
        InputError: if another process has locked the folder, or it cannot be written.
    """
    folder = Path(folder)
    lock, holder = filelock.FileLock(folder / ".lock", timeout=0), folder / ".holder"
    try:
        check_writable(folder)
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        if holder.is_symlink() or (holder.exists() and not holder.is_file()):
            raise OSError(f"{holder} is a link, folder, pipe or device")
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except filelock.Timeout as error:
        other = "another process"
        if holder.is_file():
            other = holder.read_text(encoding="utf-8", errors="replace")[:200] or other
        raise checks.InputError(
            f"Expected {folder} for this run alone. It is being written to by {other}. Wait for it "
            "to end, or choose another folder."
        ) from error
    except OSError as error:
        lock.release()
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise checks.InputError(
            f"Expected to write the folder {folder}. It failed: {error}. Choose another folder."
        ) from error
    except NotImplementedError:  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()


def check_writable(folder):
    """Raises `InputError` if a folder can neither be made nor written, as for an address."""
    place = checks.expand(checks.local(folder)).absolute()
    try:
        str(place).encode()
        if "\0" in str(place):
            raise ValueError("it has a byte of zero")
        while not place.exists():
            place = place.parent
    except (OSError, ValueError) as error:  # too long, or no text
        raise checks.InputError(
            f"Expected to write the folder {str(folder)[:200]!r}. It cannot be made ({_reason(error)}). "
            "Choose another name."
        ) from error
    if not place.is_dir():
        raise checks.InputError(
            f"Expected to write the folder {folder}. {place} is a file. Choose another folder."
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise checks.InputError(
            f"Expected to write the folder {folder}. {place} may not be written. Choose another "
            "folder."
        )


def _reason(error):
    if isinstance(error, UnicodeError):
        return "its path is not UTF-8"
    return error.strerror if isinstance(error, OSError) else error


def check_room(folder, size):
    """Raises `InputError` if a disk has too little room.

    Args:
        folder: path of a folder, which need not exist yet.
        size: int, bytes that will be written into it.

    Raises:
        InputError: if less is free.
    """
    place = checks.expand(folder).resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size:
        raise checks.InputError(
            f"Expected {size / 1e6:,.0f} MB of room for {folder}. Found {free / 1e6:,.0f} MB. "
            "Free some, or choose another place."
        )


def sync_folder(folder):
    """Waits until every file of a folder is on the disk, so that a rename cannot outrun it."""
    for path in Path(folder).iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


MOST_JSON = 2**24  # bytes of a JSON file that is read


def read_json(path):
    """A JSON object from a file.

    Raises:
        InputError: if the file is missing or holds something else.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a folder, pipe or device")
        if path.stat().st_size > MOST_JSON:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise checks.InputError(
            f"Expected a file {path}. Found none. Pass a preset's folder that is complete."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise checks.InputError(
            f"Expected JSON in {path}. Found something else ({error}). Restore the file."
        ) from error
    if not isinstance(data, dict):
        raise checks.InputError(
            f"Expected a JSON object in {path}. Found a {type(data).__name__}. Restore the file."
        )
    return data


def fingerprint(path):
    """A file's sha256 and size in bytes, as a record keeps them."""
    with open(path, "rb") as file:
        return {
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
            "size": os.path.getsize(path),
        }
