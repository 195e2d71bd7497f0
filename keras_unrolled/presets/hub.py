"""Presets from the Hugging Face Hub: one consistent version, verified before it is opened."""

import hashlib
import re
from pathlib import Path

from keras_unrolled import checks
from keras_unrolled.files import fingerprint

SCHEME = "hf://"
# The files of a preset; nothing else of a repository is downloaded.
PATTERNS = ["*.json", "*.weights.h5", "*.npz", "model.safetensors"]
COMMIT = re.compile(r"[0-9a-f]{40}")


def failures():
    """The exceptions that the Hub's client raises for failures of the Hub and the network.

    Those of its HTTP library, whose name has changed between versions, are found by the base
    class of the client's own exceptions.
    """
    from huggingface_hub import errors

    ancestors = errors.HfHubHTTPError.__mro__
    library = [c for c in ancestors if c.__module__.startswith(("httpx", "requests"))]
    return (errors.OfflineModeIsEnabled, OSError, *library[:1])


def parse(uri, revision=None):
    """Splits `hf://org/name@revision`.

    Args:
        uri: string that starts with `hf://`.
        revision: optional string, the revision given in addition to the address.

    Returns:
        The repository's id and its revision or None.

    Raises:
        InputError: if it is not such an address, or names two revisions.
    """
    name, _, inside = uri.removeprefix(SCHEME).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or (inside == "" and "@" in uri):
        raise checks.InputError(
            "Expected a repository as hf://org/name or hf://org/name@revision. "
            f"Received: {uri!r}. Write for instance hf://ada/flowers@v1."
        )
    if inside and revision and inside != revision:
        raise checks.InputError(
            f"Expected one revision. Received two: {inside!r} in the address and revision="
            f"{revision!r}. Leave one out."
        )
    return name, inside or revision


def fetch(uri, *, revision=None, token=None, local_files_only=False, sizes=None):
    """A preset's folder in the local cache, downloaded if it is missing.

    All files belong to one commit, even if another one is pushed meanwhile. The client's settings
    apply:
    HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN.

    Args:
        uri: string, `hf://org/name` or `hf://org/name@revision`.
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
            not cached and the Hub cannot be reached, or if a file differs from what the Hub
            stated.
    """
    import huggingface_hub
    from huggingface_hub import errors

    name, revision = parse(uri, revision)
    at = f" at revision {revision!r}" if revision else ""
    options = {"revision": revision, "token": token, "allow_patterns": PATTERNS}
    if sizes and COMMIT.fullmatch(revision or "") and not local_files_only:
        try:
            folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True, **options))
            local_files_only = all((folder / file).is_file() for file in sizes)
        except errors.LocalEntryNotFoundError:
            pass
    try:
        if sizes and not local_files_only:
            _compare_sizes(name, sizes, options)
        folder = huggingface_hub.snapshot_download(
            name, local_files_only=local_files_only, **options
        )
    except errors.RepositoryNotFoundError as error:
        raise checks.InputError(
            f"Expected a repository {name} on the Hub. Found none, or a private one that this "
            "token may not read. Check the name, or pass token=..."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise checks.InputError(
            f"Expected {name}{at}. The repository has no such branch, tag or commit. "
            "Check the revision."
        ) from error
    except failures() as error:
        away = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
        if isinstance(error, away) or not isinstance(error, OSError):  # no connection at all
            raise checks.InputError(
                f"Expected {name}{at} in the local cache, since the Hub cannot be reached or must "
                "not be used. It is missing or incomplete. Connect and try again, or copy the "
                "preset's folder to this machine and load it."
            ) from error
        raise checks.InputError(
            f"Expected to download {name}{at}. It failed: {str(error).splitlines()[0]} "
            "Try again later; the part that was downloaded is kept."
        ) from error
    if not Path(folder).is_dir():
        raise checks.InputError(
            f"Expected a preset in {name}{at}: files such as {', '.join(PATTERNS)}. Found none of "
            "them. Check the name: the repository contains something else."
        )
    verify_snapshot(Path(folder), name, token)
    return Path(folder)


def _compare_sizes(name, sizes, options):
    import huggingface_hub

    api = huggingface_hub.HfApi(token=options["token"])
    info = api.model_info(name, revision=options["revision"], files_metadata=True)
    stated = {file.rfilename: file.size for file in info.siblings or ()}
    for file, size in sizes.items():
        if stated.get(file) != size:
            raise checks.InputError(
                f"Expected {file} of {name} to have the {size:,} bytes of its record. The Hub "
                f"states {stated.get(file, 'no such file')!r}. Nothing was downloaded: the "
                "repository holds another version, or the record is damaged."
            )


def verify_snapshot(folder, name, token=None):
    """Compares every file of a cached snapshot with the hash that the Hub stated for it.

    The client stores each file under that hash, sha256 for a large file and git's sha1 for a small
    one, and never compares them. On a file system without links there is no such name: a
    preset's record has the hashes then, and for others the Hub is asked again.
    A file that differs is removed from the cache, so that the next attempt downloads it again.

    Args:
        folder: path of the snapshot, whose name is the commit's.
        name: string, the repository's id.
        token: optional string, for a private repository.

    Raises:
        InputError: for the first file that differs or cannot be compared.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    stated = {path: path.resolve().name for path in paths}
    if not (folder / "record.json").is_file() and not all(map(_is_hash, stated.values())):
        stated = _ask_for_hashes(folder, name, token)
    for path in paths:
        wanted = stated.get(path, path.name)
        if not _is_hash(wanted):
            continue  # the record has the hashes
        if len(wanted) == 64:
            digest = fingerprint(path)["sha256"]
        else:  # a small file
            data = path.read_bytes()
            digest = hashlib.sha1(
                b"blob %d\0" % len(data) + data, usedforsecurity=False
            ).hexdigest()
        if digest != wanted:
            blob = path.resolve()
            path.unlink()
            blob.unlink(missing_ok=True)
            raise checks.InputError(
                f"Expected {path.name} with the hash {wanted} that the Hub states. "
                f"Received a file with {digest}. It was damaged during the download or on the disk and "
                "has been removed from the cache: try again."
            )


def _is_hash(name):
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name) is not None


def _ask_for_hashes(folder, name, token):
    """The hash of each file of a snapshot, as the Hub states it now."""
    import huggingface_hub

    try:
        api = huggingface_hub.HfApi(token=token)
        info = api.model_info(name, revision=folder.name, files_metadata=True)
    except failures() as error:
        raise checks.InputError(
            f"Expected the Hub to state the hashes of {name}, since this file system keeps no "
            f"links that would. It did not: {str(error).splitlines()[0]} Connect and try again."
        ) from error
    return {
        folder / file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id
        for file in info.siblings or ()
    }
