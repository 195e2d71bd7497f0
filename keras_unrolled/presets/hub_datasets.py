"""The Parquet files of data sets on the Hugging Face Hub, checked like presets."""

from pathlib import Path

from keras_unrolled import checks, dataset_files

README = "README.md"
TABLE = ".parquet"
CONVERTED = "refs/convert/parquet"  # the branch on which the Hub keeps data sets of other formats
MOST_FILES = 100_000
MOST_BYTES = 2**43  # of all of them


def find(name, revision):
    """The files of a data set: a `DatasetFiles`.

    The client's settings apply: HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN.

    Args:
        name: string, `org/name`.
        revision: string, a branch, tag or commit, or None for "main" and, if that has no Parquet files,
            the Hub's own conversion to them.

    Raises:
        InputError: if there is no such repository or revision, if it may not be read, has no Parquet
            files, or if the Hub does not answer as a Hub.
    """
    from keras_unrolled.presets import hub
    from keras_unrolled.presets.hub_answers import Unavailable, Unreachable

    uri = f"{hub.SCHEME}{name}" + (f"@{revision}" if revision is not None else "")
    try:
        hub.parse(uri)
    except checks.InputError as error:
        raise checks.InputError(
            str(error).replace(hub.SCHEME, "hf-dataset://").replace("a repository", "a data set")
        ) from error
    wanted = f"the data set {name}" + (f" at revision {revision!r}" if revision else "")
    try:
        found = _ask(name, revision or "main", wanted)
        if not _has_tables(found) and revision is None:
            try:
                found = _ask(name, CONVERTED, wanted)
            except Unreachable:
                raise
            except (Unavailable, checks.InputError):  # there is no such branch
                pass
    except Unreachable as error:
        return _find_cached(name, revision, error)
    if not _has_tables(found):
        raise checks.InputError(
            f"Expected Parquet files in {wanted}. Found none, nor the Hub's own conversion to them. "
            "Download it, and pass a folder of class folders or a CSV file."
        )
    return found


def _has_tables(found):
    return any(file.endswith(TABLE) for file in found.files)


def _ask(name, revision, wanted):
    from keras_unrolled.presets.hub_download import download
    from keras_unrolled.presets.hub_listing import Kind, Listing, ask

    kind = Kind("a data set", "datasets", _is_read, lambda file: MOST_BYTES, MOST_FILES, MOST_BYTES)
    listing = ask(name, revision, wanted, kind=kind)

    def fetch(files):
        part = Listing(listing.commit, {file: listing.files[file] for file in files})
        return download(name, part, revision, kind=kind)

    return dataset_files.DatasetFiles(listing.commit, tuple(listing.files), fetch)


def _is_read(file):
    parts = file.split("/")
    is_safe = not {"", ".", ".."} & set(parts) and "\\" not in file and file.isprintable()
    return is_safe and (file == README or file.endswith(TABLE))


def _find_cached(name, revision, error):
    """The commit that the cache has noted for a revision, without files."""
    from huggingface_hub import constants

    from keras_unrolled.presets.hub_listing import COMMIT

    store = Path(constants.HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}"
    for branch in [revision] if revision else ["main", CONVERTED]:
        commit = branch
        path = store / "refs" / branch
        if not COMMIT.fullmatch(branch) and path.is_file():
            commit = path.read_text(encoding="utf-8", errors="replace").strip()
        if COMMIT.fullmatch(commit):
            return dataset_files.DatasetFiles(commit, (), lambda files: store, error)
    raise error


dataset_files.register(find)
