"""A small Hugging Face Hub on 127.0.0.1, for the unmodified `huggingface_hub` client.

It keeps repositories in memory: commits, tags, LFS objects, private repositories and tokens; those of data sets
like those of models.
Faults are a function that may answer a request in the server's place.
"""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKENS = {"token-of-ada": "ada", "token-of-bob": "bob"}
LFS = re.compile(r"\.(h5|safetensors|npz|parquet)$")


def git_oid(data):
    """The id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    """The id that LFS gives a file."""
    return hashlib.sha256(data).hexdigest()


class Repository:
    """Commits of a repository, newest last; each a sha and a dict from path to bytes."""

    def __init__(self, name, private):
        self.name = name
        self.private = private
        self.commits = []
        self.tags = {}
        self.commit({})

    def commit(self, files, sha=None):
        """Adds a commit of these files and returns its sha."""
        parent = self.commits[-1][0] if self.commits else ""
        listing = "".join(f"{p}{sha256(d)}" for p, d in sorted(files.items()))
        sha = sha or hashlib.sha1(f"{parent}{len(self.commits)}{listing}".encode()).hexdigest()
        self.commits.append((sha, dict(files)))
        return sha

    def at(self, revision):
        """The commit of a branch, tag or sha, or None."""
        if revision in ("main", None):
            return self.commits[-1]
        revision = self.tags.get(revision, revision)
        return next((c for c in self.commits if c[0] == revision), None)


class Hub(ThreadingHTTPServer):
    """The server; `url` is what HF_ENDPOINT has to be."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.cdn = f"http://localhost:{self.server_port}"  # another host, by its name
        self.repositories = {}
        self.objects = {}
        self.requests = []
        self.ranges = []  # (path, first byte) of every download that was resumed
        self.fault = None
        self.lock = threading.Lock()

    def add(self, name, files, private=False, sha=None):
        """Makes a repository with one commit of these files; returns its sha."""
        self.repositories.setdefault(name, Repository(name, private))
        for data in files.values():
            self.objects[sha256(data)] = data
        return self.repositories[name].commit(files, sha)


class Handler(BaseHTTPRequestHandler):
    """The calls that `huggingface_hub` makes to list, fetch, create and commit."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    # === Answers ===
    def answer(self, status=200, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("Content_Length", len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    # === Requests ===
    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = b""
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        path = unquote(parts.path)
        self.server.requests.append((self.command, path))
        fault = self.server.fault  # it may take itself away while another thread looks
        if fault is not None and fault(self, path):
            return
        with self.server.lock:
            for method, pattern, call in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in method:
                    call(self, **match.groupdict())
                    return
        self.refuse(404, "EntryNotFound", f"no such call: {self.command} {path}")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

    def user(self):
        header = self.headers.get("Authorization") or ""
        return TOKENS.get(header.removeprefix("Bearer "))

    def repository(self, name, revision="main"):
        """The repository and its commit, or None after a refusal."""
        repo = self.server.repositories.get(name)
        owner = name.split("/")[0]
        if repo is None or (repo.private and self.user() != owner):
            # A private repository does not tell strangers that it is there.
            status = 404 if self.user() else 401
            return self.refuse(status, "RepoNotFound", "Repository Not Found")
        commit = repo.at(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repo, commit

    def whoami(self):
        if self.user() is None:
            return self.refuse(401, "Unauthorized", "Invalid token")
        auth = {"type": "access_token", "accessToken": {"role": "write"}}
        self.answer(body={"type": "user", "name": self.user(), "orgs": [], "auth": auth})

    def create(self):
        asked = json.loads(self.body)
        owner = asked.get("organization") or self.user()
        if self.user() is None or owner != self.user():
            return self.refuse(403, "Forbidden", "You don't have the rights to create a model")
        name = f"{owner}/{asked['name']}"
        answer = {"url": f"{self.server.url}/{name}", "name": name, "id": name}
        if name in self.server.repositories:
            return self.answer(409, answer)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(name, bool(private))
        self.answer(body=answer)

    def validate(self):
        self.answer(body={"errors": [], "warnings": []})

    def info(self, name, revision="main"):
        if found := self.repository(name, revision):
            repo, (sha, files) = found
            siblings = [self.sibling(path, data) for path, data in sorted(files.items())]
            self.answer(
                body={
                    "id": name,
                    "modelId": name,
                    "sha": sha,
                    "private": repo.private,
                    "tags": [],
                    "siblings": siblings,
                }
            )

    def sibling(self, path, data):
        found = {"rfilename": path}
        if "blobs" in self.query:
            found |= {"size": len(data), "blobId": git_oid(data)}
            if LFS.search(path):
                found["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
        return found

    def tree(self, name, revision):
        if found := self.repository(name, revision):
            rows = []
            for path, data in sorted(found[1][1].items()):
                row = {"type": "file", "path": path, "oid": git_oid(data), "size": len(data)}
                if LFS.search(path):
                    row["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
                rows.append(row)
            self.answer(body=rows)

    def refs(self, name):
        if found := self.repository(name):
            repo, (sha, _) = found
            tags = [
                {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": target}
                for tag, target in repo.tags.items()
            ]
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": sha}
            self.answer(body={"branches": [main], "tags": tags, "converts": []})

    def resolve(self, name, revision, path):
        if found := self.repository(name, revision):
            _, (sha, files) = found
            if path not in files:
                return self.refuse(404, "EntryNotFound", f"Entry not found: {path}")
            data = files[path]
            if LFS.search(path):
                oid = sha256(data)
                return self.answer(
                    302,
                    Location=f"{self.server.cdn}/objects/{oid}",
                    X_Repo_Commit=sha,
                    X_Linked_Etag=f'"{oid}"',
                    X_Linked_Size=len(data),
                )
            self.send_part(data, ETag=f'"{git_oid(data)}"', X_Repo_Commit=sha)

    def object(self, oid):
        self.send_part(self.server.objects[oid], ETag=f'"{oid}"')

    def send_part(self, data, **headers):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        if start:
            self.server.ranges.append((self.path, start))
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206 if start else 200, data[start:], Accept_Ranges="bytes", **headers)

    def preupload(self, name, revision):
        if self.writable(name):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if LFS.search(file["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self.answer(body={"files": files})

    def batch(self, name):
        if self.writable(name):
            objects = []
            for asked in json.loads(self.body)["objects"]:
                upload = {"href": f"{self.server.url}/objects/{asked['oid']}", "header": {}}
                known = asked["oid"] in self.server.objects
                objects.append({**asked, **({} if known else {"actions": {"upload": upload}})})
            self.answer(body={"transfer": "basic", "objects": objects})

    def put(self, oid):
        if sha256(self.body) != oid:
            return self.refuse(400, "BadRequest", "The object is not what its id says")
        self.server.objects[oid] = self.body
        self.answer()

    def commit(self, name, revision):
        if not (found := self.writable(name)):
            return
        repo, (head, files) = found
        files = dict(files)
        for line in self.body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "header":
                if value.get("parentCommit") not in (None, head):
                    return self.refuse(412, "PreconditionFailed", "A commit has happened since")
            elif row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif row["key"] == "deletedFile":
                files.pop(value["path"], None)
        for data in files.values():
            self.server.objects[sha256(data)] = data
        sha = repo.commit(files)
        url = f"{self.server.url}/{name}/commit/{sha}"
        self.answer(body={"commitUrl": url, "commitOid": sha, "hookOutput": ""})

    def tag(self, name, revision):
        if found := self.writable(name):
            found[0].tags[json.loads(self.body)["tag"]] = found[0].at(revision)[0]
            self.answer()

    def writable(self, name):
        if self.user() is None:
            return self.refuse(401, "Unauthorized", "Log in first")
        found = self.repository(name)
        if found and self.user() != name.split("/")[0]:
            return self.refuse(403, "Forbidden", "This is not your repository")
        return found


_ID = r"(?P<name>[\w.-]+/[\w.-]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Handler.whoami),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("GET", rf"/api/models/{_ID}", Handler.info),
    ("GET", rf"/api/(?:models|datasets)/{_ID}/revision/(?P<revision>.+)", Handler.info),
    ("GET", rf"/api/models/{_ID}/tree/(?P<revision>[^/]+)", Handler.tree),
    ("GET", rf"/api/models/{_ID}/refs", Handler.refs),
    ("POST", rf"/api/models/{_ID}/preupload/(?P<revision>.+)", Handler.preupload),
    ("POST", rf"/api/models/{_ID}/commit/(?P<revision>.+)", Handler.commit),
    ("POST", rf"/api/models/{_ID}/tag/(?P<revision>.+)", Handler.tag),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/objects/(?P<oid>\w{64})", Handler.put),
    ("GETHEAD", r"/objects/(?P<oid>\w{64})", Handler.object),
    ("GETHEAD", rf"/(?:datasets/)?{_ID}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
]


@contextmanager
def running_hub():
    """A hub that runs in a thread of this process."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
