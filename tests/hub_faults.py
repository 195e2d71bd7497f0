"""Answers that no Hub should give, for `tests.hub_server`: faults, each of one kind.

A fault is a function of the request's handler and path; it answers in the server's place and returns
True, or returns False. `draw` makes one from a random generator.
"""

import contextlib
import gzip
import json
import time

from tests.hub_server import git_oid, sha256

PAGE = b"<!DOCTYPE html><html><body>Please accept the terms of this network.</body></html>"
STATUSES = [201, 204, 206, 300, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410, 416, 418, 425]
STATUSES += [429, 451, 500, 501, 502, 503, 504, 511, 599]
CODES = ["RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo", "Unknown", "\x1b[2J"]


def always(status=200, body=b"", **headers):
    """The same answer to every request."""

    def fault(handler, path):
        handler.answer(status, body, **headers)
        return True

    return fault


def for_files(fault):
    """A fault of downloads only."""
    return lambda handler, path: "/api/" not in path and fault(handler, path)


def portal():
    """The login page of a network, in the place of everything."""
    return always(200, PAGE, Content_Type="text/html; charset=utf-8")


def changed_listing(change):
    """The true listing of `ada/small` after `change` of its JSON, which may return another."""

    def fault(handler, path):
        if not path.startswith("/api/models/"):
            return False
        sha, files = handler.server.repositories["ada/small"].commits[-1]
        data = {"id": "ada/small", "sha": sha, "siblings": [row(*item) for item in files.items()]}
        handler.answer(200, change(data) or data)
        return True

    return fault


def row(path, data):
    """How a Hub states a file."""
    found = {"rfilename": path, "size": len(data), "blobId": git_oid(data)}
    if path.endswith((".h5", ".npz", ".safetensors")):
        found["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
    return found


def raw(data):
    """Bytes in the place of HTTP, then the end of the connection."""

    def fault(handler, path):
        handler.wfile.write(data)
        handler.close_connection = True
        return True

    return fault


def endless(chunk):
    """A body that goes on for as long as it is read."""

    def fault(handler, path):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        return True

    return fault


def silent(seconds):
    """No answer for a while, then the end of the connection."""

    def fault(handler, path):
        time.sleep(seconds)
        handler.close_connection = True
        return True

    return fault


def headers_of_files(**headers):
    """True files, with other headers."""

    def fault(handler, path):
        if "/resolve/" not in path:
            return False
        data = handler.server.repositories["ada/small"].commits[-1][1].get(path.rsplit("/", 1)[1])
        if data is None:
            return False
        handler.answer(200, data, **headers)
        return True

    return fault


def draw(rng, evil):
    """A fault, drawn by `rng`.

    Args:
        rng: a `random.Random`.
        evil: list of strings, paths to somewhere else, to be put wherever a name or hash is.

    Returns:
        A string, its kind, and the fault.
    """
    kind, make = rng.choice(list(KINDS.items()))
    return kind, make(rng, evil)


def _value(rng, evil):
    """Something where a name, hash or size belongs."""
    odd = [None, True, -1, 0, 2**70, 1e308, float("nan"), "", "x" * 300, "a" * 40, "0" * 64]
    odd += [[], {}, [[]], "record.json", "\0", "é", "..", "con", "a/b"]
    return rng.choice([*odd, *evil, *evil])


def _draw_listing(rng, evil):
    def change(data):
        for _ in range(rng.choice([1, 1, 3])):
            kind, rows = rng.random(), data.get("siblings")
            if kind < 0.3 or not isinstance(rows, list) or not rows:
                data[rng.choice(["sha", "sha", "siblings", "id"])] = _value(rng, evil)
            elif kind < 0.6:
                rng.choice(rows)[rng.choice(["rfilename", "blobId", "size", "lfs"])] = _value(
                    rng, evil
                )
            elif kind < 0.8:
                rng.choice(rows)["lfs"] = {"sha256": _value(rng, evil), "size": _value(rng, evil)}
            elif kind < 0.9:
                rows.append({**rows[0], "rfilename": _value(rng, evil)})
            else:
                rows[rng.randrange(len(rows))] = _value(rng, evil)
            rows = [r for r in data["siblings"] if isinstance(r, dict)] if rows else []
            data["siblings"] = rows if rng.random() < 0.5 and rows else data["siblings"]

    return changed_listing(change)


def _draw_json(rng, evil):
    texts = [
        "[]",
        "{}",
        "null",
        "7",
        '"x"',
        "[" * 100_000,
        '{"sha":' * 50_000,
        "NaN",
        "",
        "{",
        "9" * 9_999,
    ]
    texts += ["\ufeff{}", json.dumps({"sha": "a" * 40}), json.dumps({"siblings": []}), "\ud800"]
    body = rng.choice(texts).encode("utf-8", "surrogatepass")
    return always(200, body, Content_Type=rng.choice(["application/json", "text/html", ""]))


def _draw_status(rng, evil):
    headers = {}
    if rng.random() < 0.5:
        headers |= {"X_Error_Code": rng.choice(CODES), "X_Error_Message": rng.choice(evil)}
    if rng.random() < 0.3:
        headers["Retry_After"] = rng.choice(["0", "30", "999999999", "-1", "soon", ""])
    if rng.random() < 0.3:
        headers["X_Repo_Commit"] = rng.choice(evil)
    fault = always(rng.choice(STATUSES), rng.choice([b"", PAGE]), **headers)
    return rng.choice([fault, for_files(fault)])


def _draw_redirect(rng, evil):
    where = [
        "/",
        "",
        "//",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://[",
        "javascript:0",
        "\x7f",
    ]
    where += ["http://127.0.0.1:1/", "http://localhost:99999/", *evil]
    fault = always(rng.choice([301, 302, 307, 308]), Location=rng.choice(where))
    return rng.choice([fault, for_files(fault)])


def _draw_headers(rng, evil):
    names = ["ETag", "X_Linked_Etag", "X_Repo_Commit", "X_Linked_Size", "Content_Disposition"]
    names += ["Content_Encoding", "Content_Range", "Location"]
    return headers_of_files(**{name: rng.choice(evil) for name in rng.sample(names, 4)})


def _draw_body(rng, evil):
    packed = gzip.compress(bytes(10**7))
    fault = rng.choice(
        [
            always(200, b""),
            always(200, PAGE),
            always(200, rng.randbytes(50_000)),
            always(200, b"short", Content_Length=10**6, Connection="close"),
            always(200, packed, Content_Encoding="gzip"),
            always(206, b"part", Content_Range="bytes 5-8/9"),
            endless(bytes(2**16)),
        ]
    )
    return rng.choice([fault, for_files(fault)])


def _draw_raw(rng, evil):
    texts = [
        b"",
        b"\0" * 50,
        b"HTTP/1.1 200",
        b"HTTP/1.1 999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA\r\n\r\n",
    ]
    texts += [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", b"SSH-2.0-x\r\n", rng.randbytes(80)]
    texts += [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ]
    texts += [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000]
    fault = raw(rng.choice(texts))
    return rng.choice([fault, for_files(fault)])


KINDS = {
    "listing": _draw_listing,
    "json": _draw_json,
    "status": _draw_status,
    "redirect": _draw_redirect,
    "headers": _draw_headers,
    "body": _draw_body,
    "raw": _draw_raw,
    "portal": lambda rng, evil: rng.choice([portal(), for_files(portal())]),
    "silent": lambda rng, evil: silent(1.5),
}
