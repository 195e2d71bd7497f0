"""Presets from the Hugging Face Hub: one consistent version, verified before it is opened."""

import re
from pathlib import Path
from urllib.parse import unquote

from keras_unrolled import checks
from keras_unrolled.presets import layout
from keras_unrolled.presets.hub_answers import Unavailable, Unreachable, check_token, failures
from keras_unrolled.presets.hub_download import download, make_hasher
from keras_unrolled.presets.hub_listing import COMMIT, HASH, NAMES, Stated, ask, is_of_a_preset

__all__ = ["SCHEME", "failures", "fetch", "is_address", "parse", "suggest", "verify_snapshot"]

SCHEME = "hf://"
# Which files of an earlier version `publishing` deletes.
PATTERNS = ["*.json", "*.weights.h5", "*.npz", "model.safetensors"]
_WEB = re.compile(r"https?://(www\.)?(huggingface\.co|hf\.co)/", re.I)
_PART = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
# As the Hub's client has it: each becomes a folder's name.
_NAME = re.compile(rf"(?!.*(\.\.|--))(?!.*\.git$){_PART}/{_PART}")
_REVISION = re.compile(
    r"(?!.*(\.\.|@\{|\.lock(/|$)))(?=.{1,200}$)\w[\w.+#=@-]*(/[\w+#=@-][\w.+#=@-]*)*", re.A
)


def is_address(text):
    """Whether a text is meant as a repository's address: `hf://...` or its page's."""
    return text.startswith(SCHEME) or _WEB.match(text) is not None


def suggest(text):
    """A sentence for a text of the form `org/name` that is no folder, or an empty string."""
    # A path has one slash where the address had two.
    name = re.sub(r"^(hf://?|(https?:/)?(www\.)?(huggingface\.co|hf\.co)/)", "", text, flags=re.I)
    if not _NAME.fullmatch(name.partition("@")[0]):
        return ""
    return f"For a repository on the Hub, write {SCHEME}{name}."


def parse(uri, revision=None):
    """Splits `hf://org/name@revision` or `https://huggingface.co/org/name/tree/revision`.

    Args:
        uri: string, for which `is_address` is true.
        revision: optional string, the revision given in addition to the address.

    Returns:
        The repository's id and its revision or None.

    Raises:
        InputError: if it is not such an address, or names two revisions.
    """
    if web := _WEB.match(uri):
        path = re.split(r"[?#]", uri[web.end() :], maxsplit=1)[0].rstrip("/")
        name, is_tree, inside = path.partition("/tree/")
        inside, is_whole = unquote(inside), not is_tree or inside
    else:
        name, at, inside = uri.removeprefix(SCHEME).partition("@")
        is_whole = not at or inside
    if not _NAME.fullmatch(name) or not is_whole or (inside and not _REVISION.fullmatch(inside)):
        raise checks.InputError(
            "Expected a repository as hf://org/name or hf://org/name@revision. "
            f"Received: {_show(uri)}. Write for instance hf://ada/flowers@v1."
        )
    if inside and revision and inside != revision:
        raise checks.InputError(
            f"Expected one revision. Received two: {inside!r} in the address and revision="
            f"{_show(revision)}. Leave one out."
        )
    if revision and not (isinstance(revision, str) and _REVISION.fullmatch(revision)):
        raise checks.InputError(
            f"Expected a branch, tag or commit. Received: revision={_show(revision)}. Write for "
            'instance revision="v1".'
        )
    return name, inside or revision


def fetch(uri, *, revision=None, token=None, local_files_only=False, sizes=None):
    """A preset's folder in the local cache, downloaded if it is missing.

    All files belong to one commit, even if another one is pushed meanwhile. The client's settings
    apply:
    HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN. If the Hub does not answer, what the cache has of
    this revision is used.

    Args:
        uri: string, `hf://org/name`, `hf://org/name@revision` or the address of its page.
        revision: optional string, a branch, tag or commit; the default is "main".
        token: optional string, for a private repository.
        local_files_only: bool, whether to use the cache only.
        sizes: optional dict from file name to bytes, as in a record. If the Hub states
            other sizes nothing is downloaded; a commit that is cached with all of these files
            is used without asking the Hub.

    Returns:
        The path of the folder.

    Raises:
        InputError: if there is no such repository or revision, if it may not be read, if it is
            not cached and the Hub cannot be reached or does not answer as a Hub, or if a file differs
            from what the Hub stated.
    """
    name, revision = parse(uri, revision)
    check_token(token)
    wanted = f"{name} at revision {revision!r}" if revision else name
    revision = revision or "main"
    folder = _find_cached(name, revision)
    if folder and sizes and COMMIT.fullmatch(revision):
        if all((folder / file).is_file() for file in sizes):
            local_files_only = True
        else:
            folder = None
    if not local_files_only:
        try:
            listing = ask(name, revision, wanted, token)
        except Unavailable as error:
            if folder is None and isinstance(error, Unreachable):
                raise _not_cached(wanted, f" ({error.reason})") from error
            if folder is None:
                raise
        else:
            _check_listing(listing, name, wanted, sizes or {})
            folder = download(name, listing, revision, token)
    if folder is None:
        raise _not_cached(wanted)
    verify_snapshot(folder, name, token)
    return folder


def _find_cached(name, revision):
    """The folder that the cache has for a revision, or None."""
    import huggingface_hub
    from huggingface_hub import errors

    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                name, revision=revision, local_files_only=True, allow_patterns=sorted(NAMES)
            )
        )
    except (errors.LocalEntryNotFoundError, OSError, ValueError):
        return None
    # `refs/` may say anything.
    is_snapshot = folder.parent.name == "snapshots" and COMMIT.fullmatch(folder.name)
    return folder if is_snapshot and folder.is_dir() else None


def _not_cached(wanted, reason=""):
    return checks.InputError(
        f"Expected {wanted} in the local cache, since the Hub cannot be reached or must "
        f"not be used{reason}. It is missing or incomplete. Connect and try again, or copy the "
        "preset's folder to this machine and load it."
    )


def _check_listing(listing, name, wanted, sizes):
    """Rejects a repository without a preset's files, or with others than those on record."""
    if not listing.files:
        raise checks.InputError(
            f"Expected a preset in {wanted}: files such as {', '.join(sorted(NAMES))}. Found "
            "none of them. Check the name: the repository contains something else."
        )
    for file, size in sizes.items():
        stated = listing.files.get(file)
        if stated is None or stated.size != size:
            raise checks.InputError(
                f"Expected {file} of {name} to have the {size:,} bytes of its record. The Hub "
                f"states {stated.size if stated else 'no such file'!r}. Nothing was downloaded: the "
                "repository holds another version, or the record is damaged."
            )


def verify_snapshot(folder, name, token=None):
    """Compares every file of a cached snapshot with the hash that the Hub stated for it.

    Each file is stored under that hash, sha256 for a large file and git's sha1 for a small
    one. On a file system without links there is no such name: a
    preset's record has the hashes then, and for others the Hub is asked again.
    A file that differs is removed from the cache, so that the next attempt downloads it again.

    Args:
        folder: path of the snapshot, whose name is the commit's.
        name: string, the repository's id.
        token: optional string, for a private repository.

    Raises:
        InputError: for the first file that differs or cannot be compared.
    """
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and is_of_a_preset(path.relative_to(folder).as_posix())
    ]
    digests = {path: path.resolve().name for path in paths}
    if not (folder / layout.RECORD).is_file() and not all(map(HASH.fullmatch, digests.values())):
        listing = ask(name, folder.name, f"the hashes of {name}", token)
        digests = {folder / file: stated.digest for file, stated in listing.files.items()}
        if unknown := [path.name for path in paths if path not in digests]:
            raise checks.InputError(
                f"Expected the Hub to state a hash of {', '.join(unknown)} in {name}. It states none. "
                f"Delete {folder} and try again."
            )
    for path in paths:
        wanted = digests[path]
        if not HASH.fullmatch(wanted):
            continue  # the record has the hashes
        hasher = make_hasher(Stated(path.stat().st_size, wanted))
        with open(path, "rb") as file:
            while part := file.read(2**20):
                hasher.update(part)
        if hasher.hexdigest() != wanted:
            blob = path.resolve()
            path.unlink()
            if blob.parent == folder.resolve().parents[1] / "blobs":
                blob.unlink(missing_ok=True)
            raise checks.InputError(
                f"Expected {path.name} with the hash {wanted} that the Hub states. Received a file "
                f"with {hasher.hexdigest()}. It was damaged during the download or on the disk and "
                "has been removed from the cache: try again."
            )


def _show(value):
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text):,} characters)"
