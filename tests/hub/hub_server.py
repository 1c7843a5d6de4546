"""A hub on this machine, for tests: the part of the Hugging Face hub's protocol that its library speaks here.

Repositories with branches and commits, uploads in one commit, LFS, private and gated repositories, tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_owner"


class Repository:
    """Commits by their name, 40 hexadecimal digits, each the whole content; branches point to them."""

    def __init__(self, private=False, gated=False):
        self.private, self.gated = private, gated
        self.commits, self.branches, self.messages = {}, {}, []
        self.commit("main", {})

    def commit(self, branch, changes, message="initial commit"):
        """Put one commit onto a branch: content by path, None for what is deleted; return its name."""
        files = {**self.content(branch), **changes}
        files = {path: content for path, content in files.items() if content is not None}
        state = [f"{path} {hashlib.sha1(content).hexdigest()}" for path, content in sorted(files.items())]
        name = hashlib.sha1(" ".join([str(len(self.messages)), *state]).encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        self.messages.append(message)
        return name

    def at(self, revision):
        return self.branches.get(revision, revision if revision in self.commits else None)

    def content(self, revision):
        return self.commits.get(self.at(revision), {})


class RefusedError(Exception):
    """An answer with an error: its status, and the code that the hub's library tells errors by."""

    def __init__(self, status, code=None):
        super().__init__(status, code)
        self.status, self.code = status, code


class Hub:
    """What is on the hub, and what was asked of it; `fail` is a pattern of paths and the status they get.

    Files of more bytes than `lfs_above` are large ones, which are kept apart by their SHA-256.
    """

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.lfs_above = 1 << 40
        self.asked: list[str] = []
        self.owner = "us"
        self.fail: tuple[str, int] | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method, path, body, token):
        """Return content, status and headers; raise `RefusedError`."""
        self.asked.append(f"{method} {unquote(path)}")
        if self.fail and re.search(self.fail[0], path):
            raise RefusedError(self.fail[1])
        for methods, pattern, action in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method in methods.split():
                answer = action(self, body, token == f"Bearer {TOKEN}", *map(unquote, found.groups()))
                return answer if isinstance(answer, tuple) else (answer, 200, {})
        raise RefusedError(404, "EntryNotFound")

    def found(self, owned, name, revision="main"):
        """Return a repository that may be read, and the commit that a revision is."""
        repository = self.repositories.get(name)
        if repository is None or (repository.private and not owned):
            raise RefusedError(404 if owned else 401, "RepoNotFound")
        if repository.at(revision) is None:
            raise RefusedError(404, "RevisionNotFound")
        return repository, repository.at(revision)

    def create(self, body, owned):
        if not owned:
            raise RefusedError(401)
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != self.owner:
            raise RefusedError(403)
        answer = {"url": f"{self.endpoint}/{name}"}
        if name in self.repositories:
            return answer, 409, {}
        private = asked.get("private") or asked.get("visibility") == "private"
        self.repositories[name] = Repository(bool(private))
        return answer

    def info(self, body, owned, kind, name, revision="main"):
        repository, sha = self.found(owned, name, revision)
        siblings = [{"rfilename": path} for path in repository.commits[sha]]
        return {"id": name, "sha": sha, "siblings": siblings, "private": repository.private}

    def tree(self, body, owned, kind, name, revision):
        repository, sha = self.found(owned, name, revision)
        return [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in repository.commits[sha].items()
        ]

    def branch(self, body, owned, kind, name, branch):
        repository, sha = self.found(owned, name)
        if branch in repository.branches:
            raise RefusedError(409)
        repository.branches[branch] = sha
        return {}

    def check(self, body, owned):
        assert json.loads(body)["content"].startswith("---\n")
        return {"errors": [], "warnings": []}

    def preupload(self, body, owned, kind, name, revision):
        self.found(owned, name, revision)
        files = json.loads(body)["files"]
        large = {one["path"] for one in files if one["size"] > self.lfs_above and one["path"] != "README.md"}
        modes = {one["path"]: "lfs" if one["path"] in large else "regular" for one in files}
        return {
            "files": [
                {"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()
            ]
        }

    def batch(self, body, owned, name):
        asked = json.loads(body)["objects"]
        places = {one["oid"]: {"upload": {"href": f"{self.endpoint}/lfs/{one['oid']}"}} for one in asked}
        return {"transfer": "basic", "objects": [{**one, "actions": places[one["oid"]]} for one in asked]}

    def put(self, body, owned, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.large[oid] = body
        return b""

    def commit(self, body, owned, kind, name, revision):
        repository, _ = self.found(owned, name, revision)
        if not owned:
            raise RefusedError(401)
        changes, message = {}, ""
        for line in body.splitlines():
            part = json.loads(line)
            value = part["value"]
            match part["key"]:
                case "header":
                    message = value["summary"]
                case "file":
                    changes[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    changes[value["path"]] = self.large[value["oid"]]
                case "deletedFile":
                    changes[value["path"]] = None
        sha = repository.commit(revision, changes, message)
        url = f"{self.endpoint}/{name}/commit/{sha}"
        return {"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""}

    def resolve(self, body, owned, name, revision, file):
        repository, sha = self.found(owned, name, revision)
        if repository.gated:
            raise RefusedError(403, "GatedRepo")
        content = repository.commits[sha].get(file)
        if content is None:
            raise RefusedError(404, "EntryNotFound")
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.large:
            return content, 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha}
        # On another host, as large files are: of one on its own the library follows the redirection at once.
        place = f"{self.endpoint}/lfs/{digest}".replace("127.0.0.1", "localhost")
        named = {"X-Repo-Commit": sha, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        return b"", 302, {"Location": place, **named}

    def get(self, body, owned, oid):
        return self.large[oid]


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.chunks()
        path = urlsplit(self.path).path
        try:
            content, status, headers = self.hub.answer(
                self.command, path, body, self.headers.get("Authorization")
            )
        except RefusedError as error:
            named = {"X-Error-Code": error.code, "X-Error-Message": error.code} if error.code else {}
            content, status, headers = {"error": error.code or "refused"}, error.status, named
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def chunks(self):
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        return body


for _method in ("GET", "HEAD", "POST", "PUT"):
    setattr(Handler, f"do_{_method}", Handler.answer)

_NAME = r"([\w.-]+/[\w.-]+)"
_API = f"/api/(models|spaces)/{_NAME}"
ROUTES = [
    ("POST", "/api/repos/create", Hub.create),
    ("POST", "/api/validate-yaml", Hub.check),
    ("GET", f"{_API}/revision/(.+)", Hub.info),
    ("GET", f"{_API}/tree/(.+)", Hub.tree),
    ("POST", f"{_API}/branch/(.+)", Hub.branch),
    ("POST", f"{_API}/preupload/(.+)", Hub.preupload),
    ("POST", f"{_API}/commit/(.+)", Hub.commit),
    ("GET", _API, Hub.info),
    ("POST", rf"/(?:spaces/)?{_NAME}\.git/info/lfs/objects/batch", Hub.batch),
    ("PUT", r"/lfs/(\w+)", Hub.put),
    ("GET HEAD", r"/lfs/(\w+)", Hub.get),
    ("GET HEAD", rf"/{_NAME}/resolve/([^/]+)/(.+)", Hub.resolve),
]
