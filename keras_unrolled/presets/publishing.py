"""Publishing on the Hub: a preset is verified, sent in one commit, downloaded and compared."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from keras_unrolled import checks
from keras_unrolled.presets import card, hub, layout, regated
from keras_unrolled.presets.hub_answers import NOT_OF_A_HUB, check_token


def upload_preset(
    uri: str,
    preset: str | Path,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    commit_message: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Publishes a preset on the Hugging Face Hub.

    Before anything is sent, a new process loads the preset, compares its files with the record
    and recomputes its golden outputs. The files that the record lists are sent in one commit,
    with the record and a card written from it; files of an earlier version that this one does not
    have are deleted in the same commit. Then everything is downloaded and compared. The folder
    is only read.

    Args:
        uri: string, `hf://org/name`; the repository is created if needed.
        preset: path of a preset's folder, or the name of a bundled preset.
        private: optional bool, whether the repository is private; None makes a new one public and
            leaves another as it is.
        revision: optional string, the branch to commit to; the default is "main".
        token: optional string; the default is that of the Hub's client.
        commit_message: optional string.
        dry_run: bool, whether to check only and report what would be sent. If the Hub cannot be
            asked whether there is a repository, "private" is what was asked for.

    Returns:
        A dict: "repository", "revision", "private", "files" (from path to size in bytes),
        "left_out" (files of the folder that are not part of the preset), and, if something was
        sent, "commit" and "url".

    Raises:
        InputError: if the preset is incomplete or does not compute its golden outputs, if the
            address is invalid, if the repository exists with the other visibility, or if the Hub
            does not accept or store it.

    Example:
        >>> import keras_unrolled as ku
        >>> ku.upload_preset("hf://me/flowers", "flowers/", private=True)  # doctest: +SKIP
    """
    name, revision = hub.parse(uri, revision)
    check_token(token)
    if private is not None:
        checks.flag("private", private)
    folder, record = regated.find_folder(checks.named("the preset", preset))
    missing = layout.REQUIRED - (record.files.keys() if record else set())
    if record is None or missing:
        raise checks.InputError(
            f"Expected a complete preset with its record in {folder}. Missing: "
            f"{', '.join(sorted(missing)) or layout.RECORD}. Save it with `save_preset`."
        )
    stray = sorted(record.files.keys() - layout.REQUIRED - layout.OPTIONAL)
    if stray:
        raise checks.InputError(
            f"Expected a preset's own files in the record of {folder}. Found others: "
            f"{', '.join(stray)}. Save the preset again with `save_preset`."
        )
    _verify_in_a_new_process(folder)
    sent = {file: (folder / file).read_bytes() for file in (*record.files, layout.RECORD)}
    texts = {"README.md": card.make_card(record, name), **card.make_eval_results(record)}
    sent |= {path: text.encode() for path, text in texts.items()}
    plan = {
        "repository": name,
        "revision": revision or "main",
        "private": bool(private),
        "files": {path: len(content) for path, content in sorted(sent.items())},
        "left_out": sorted(
            path
            for path in (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
            if path not in sent
        ),
    }
    if dry_run:
        return {**plan, "private": _plan_visibility(name, private, token)}
    commit = _send(name, sent, private, revision, token, commit_message or f"Publish {record.name}")
    return {**plan, **commit}


def _verify_in_a_new_process(folder):
    command = [sys.executable, "-m", "keras_unrolled", "verify", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise checks.InputError(said[-1].split(": ", 1)[-1])


def _send(name, sent, private, revision, token, message):
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token)
    try:
        api.create_repo(name, private=private, exist_ok=True)
        is_private = _check_visibility(name, api.model_info(name).private, private)
        if revision not in (None, "main"):
            api.create_branch(name, branch=revision, exist_ok=True)
        operations: list = [
            huggingface_hub.CommitOperationAdd(path, content) for path, content in sent.items()
        ]
        info = api.model_info(name, revision=revision)
        for path in (file.rfilename for file in info.siblings or ()):
            if path not in sent and any(Path(path).match(pattern) for pattern in hub.PATTERNS):
                operations.append(huggingface_hub.CommitOperationDelete(path))
        # On top of the commit that was listed: if another one was pushed since, the Hub rejects it.
        done = api.create_commit(
            name,
            operations,
            commit_message=message,
            revision=revision,
            parent_commit=info.sha,
        )
    except checks.InputError:
        raise
    except (*hub.failures(), *NOT_OF_A_HUB) as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 412:
            raise checks.InputError(
                f"Expected {name} not to change while the preset was sent. Another commit "
                "was pushed meanwhile; nothing was changed there. Publish again."
            ) from error
        raise checks.InputError(
            f"Expected the Hub to accept {name}. It did not: {_explain(error)}. "
            "Check the connection, the token's rights to write (token=..., HF_TOKEN) and what the "
            "repository has now."
        ) from error
    _compare(api, name, done.oid, sent)
    return {"private": is_private, "commit": done.oid, "url": done.commit_url}


def _compare(api, name, commit, sent):
    """Raises an error unless a commit comes back as it was sent."""
    try:
        with tempfile.TemporaryDirectory() as place:
            api.snapshot_download(name, revision=commit, local_dir=place)
            for path, content in sent.items():
                downloaded = Path(place) / path
                if not downloaded.is_file() or _sha256(downloaded.read_bytes()) != _sha256(content):
                    raise checks.InputError(
                        f"Expected {name} to return what was sent. {path} came back "
                        f"different, in commit {commit}. Publish again; until then do not "
                        "use this commit."
                    )
    except checks.InputError:
        raise
    except (*hub.failures(), *NOT_OF_A_HUB) as error:
        raise checks.InputError(
            f"Expected to download {name} and compare it. It was published, in commit {commit}, but "
            f"this failed: {_explain(error)}. Check the connection and the room for "
            f"temporary files (TMPDIR sets another place), then run "
            f"`keras-unrolled verify hf://{name}@{commit}`."
        ) from error


def _explain(error):
    """What was wrong with the Hub's answer."""
    if isinstance(error, hub.failures()):
        return checks.first_line(error)
    if error.__cause__ is not None:  # of an upload, of which the client says the file's name only
        return f"{checks.first_line(error)}: {checks.first_line(error.__cause__)}"
    return f"its answer is not that of a Hub ({checks.first_line(error)})"


def _plan_visibility(name, private, token):
    """Whether a repository is private, or would be; what was asked for if the Hub cannot tell."""
    import huggingface_hub

    try:
        found = huggingface_hub.HfApi(token=token).model_info(name).private
    except (*hub.failures(), *NOT_OF_A_HUB):  # there is none yet, or the Hub is not reached
        return bool(private)
    return _check_visibility(name, found, private)


def _check_visibility(name, found, private):
    """Whether a repository is private, as the Hub states it, if that is what was asked for."""
    names = {True: "private", False: "public"}
    if not isinstance(found, bool) or (private is not None and found != private):
        raise checks.InputError(
            f"Expected {name} to be {names.get(private, 'private or public')}. It exists and is "
            f"{names.get(found, 'neither, as the Hub answers')}; nothing was sent. Change its "
            "visibility on the Hub, or publish to another repository."
        )
    return found


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
