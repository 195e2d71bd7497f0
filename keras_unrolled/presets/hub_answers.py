"""Requests to a Hub, and what is said of an answer that is not the one asked for.

The session, the token, the endpoint and the time limits are those of Hugging Face's client. It is not
left to the client to download: it names files in the cache after headers of the answer (`ETag`,
`X-Repo-Commit`), waits as long as `Retry-After` says and writes as much as is sent.
"""

import importlib
import re
from contextlib import contextmanager

from keras_unrolled import checks

MOST_WAIT = 86_400  # seconds of a `Retry-After` that are repeated to the user


# What the Hub's client raises if an answer is not of a Hub, or an upload is refused.
NOT_OF_A_HUB = (RuntimeError, ValueError, LookupError, TypeError, AttributeError)


class Unavailable(checks.InputError):
    """The Hub did not give what was asked for; a copy in the cache is as good as it was."""


class Unreachable(Unavailable):
    """There was no connection, or it broke off; `reason` says why."""

    def __init__(self, message, reason):
        super().__init__(message)
        self.reason = reason


def failures():
    """The exceptions that the Hub's client raises for failures of the Hub and the network.

    Those of its HTTP library, whose name has changed between versions, are found by the base
    class of the client's own exceptions.
    """
    from huggingface_hub import errors

    ancestors = errors.HfHubHTTPError.__mro__
    library = [c for c in ancestors if c.__module__.startswith(("httpx", "requests"))]
    return (errors.OfflineModeIsEnabled, OSError, *library[:1])


@contextmanager
def opened(url, wanted, *, token=None, is_file=False, start=0):
    """An answer of status 200 whose body has not been read yet.

    Args:
        url: string.
        wanted: string, what is asked for, for messages.
        token: optional string; None means the client's own.
        is_file: bool, whether it is a file that the Hub has listed.
        start: int, the first byte that is asked for. Status 206 is then allowed, too.

    Yields:
        A response of the HTTP library; `iter_raw` gives its body. What the body raises is
        reported like a failure before it.

    Raises:
        Unreachable: if there is no connection, or it breaks off.
        Unavailable: for any other status, and for what is no HTTP.
        InputError: for a revision that the repository does not have, and if no session can be made.
    """
    from huggingface_hub import constants, errors, utils

    library = importlib.import_module(failures()[-1].__module__.partition(".")[0])
    try:
        headers, session = utils.build_hf_headers(token=token), utils.get_session()
    except (OSError, ValueError) as error:
        raise checks.InputError(
            f"Expected to prepare a connection to {constants.ENDPOINT}. It failed: {error}. Check the "
            "token and certificate files that the environment names."
        ) from error
    headers["accept-encoding"] = "identity"  # else a few bytes can unpack to any number
    if start:
        headers["range"] = f"bytes={start}-"
    try:
        if constants.HF_HUB_OFFLINE:
            raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        seconds = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with session.stream(
            "GET", url, headers=headers, timeout=seconds, follow_redirects=True
        ) as answer:
            if answer.status_code != 200 and not (start and answer.status_code == 206):
                with_token = "authorization" in headers
                raise explain_status(answer, wanted, is_file, with_token)
            yield answer
    except checks.InputError:
        raise
    except (library.UnsupportedProtocol, library.InvalidURL) as error:
        raise no_hub(
            wanted, f"an address that cannot be read ({checks.first_line(error)})"
        ) from error
    except (library.TransportError, errors.OfflineModeIsEnabled) as error:
        reason = checks.first_line(error)
        raise Unreachable(
            f"Expected to receive {wanted} from {constants.ENDPOINT}. The connection failed: "
            f"{reason}. Check the network and try again later; complete files are kept.",
            reason,
        ) from error
    except (library.HTTPError, library.StreamError, ValueError) as error:
        raise no_hub(wanted, f"what cannot be read ({checks.first_line(error)})") from error


def explain_status(answer, wanted, is_file, with_token):
    """The error for a status that is not 200."""
    from huggingface_hub import constants

    status, code = answer.status_code, answer.headers.get("X-Error-Code", "")
    text = checks.first_line(answer.headers.get("X-Error-Message", ""))
    shown = f"{status}: {text}" if text else f"{status}"
    server = constants.ENDPOINT
    if code == "RevisionNotFound":
        return checks.InputError(
            f"Expected {wanted}. The repository has no such branch, tag or commit. "
            "Check the revision."
        )
    if code == "GatedRepo":
        return Unavailable(
            f"Expected access to {wanted}. Its owner gives it on request only ({shown}). Ask for it "
            "on the repository's page, then pass token=... or log in with `hf auth login`."
        )
    if is_file and status in (404, 410):
        return Unavailable(
            f"Expected {wanted}, which the Hub lists. {server} has no such file ({shown}). It may be "
            "changing just now, or be damaged there: try again later."
        )
    if not is_file and (code == "RepoNotFound" or status == 404):
        return Unavailable(
            f"Expected a repository {wanted} on the Hub. Found none, or a private one that this "
            "token may not read. Check the name, or pass token=..."
        )
    if status in (401, 403):
        sent = "the token that was sent" if with_token else "a request without a token"
        return Unavailable(
            f"Expected access to {wanted}. {server} refuses {sent} ({shown}). Check the name and the "
            "token: pass token=... or log in with `hf auth login`."
        )
    if status == 429:
        return Unavailable(
            f"Expected an answer for {wanted}. {server} has received too many requests from here "
            f"(429). Wait {_read_wait(answer)}, then try again; complete files are kept."
        )
    if status >= 500 or status == 408:
        return Unavailable(
            f"Expected an answer for {wanted}. The server {server} fails ({shown}). Try again later; "
            "complete files are kept."
        )
    return no_hub(wanted, f"the status {shown}")


def no_hub(wanted, received):
    """The error for an answer that no Hub would give."""
    from huggingface_hub import constants

    return Unavailable(
        f"Expected an answer of a Hub for {wanted} from {constants.ENDPOINT}. Received {received}, "
        "which is none: it may be the login page of a network, or a proxy. Open the address in a "
        "browser, or check HF_ENDPOINT."
    )


def check_token(token):
    """Raises `InputError` for a token that cannot be sent; never repeats it."""
    if isinstance(token, str) and not re.fullmatch(r"[\x21-\x7e]{1,1000}", token):
        raise checks.InputError(
            "Expected a token of letters, digits and signs. Received one that is empty, too long or "
            "has white space or other characters. Copy it again, without the end of its line."
        )


def _read_wait(answer):
    seconds = answer.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,5}", seconds) and 0 < int(seconds) <= MOST_WAIT:
        return f"{int(seconds):,} seconds"
    return "a few minutes"
