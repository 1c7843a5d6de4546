from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "c" * 40
LOAD = """
import sys
from winninghand.images import load_images
for source in sys.argv[2:]:
    try:
        images = load_images(source, root=sys.argv[1] or None)
        print(images.name, images.classes, images.train.labels.tolist(), images.test.labels.tolist())
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def hub(tmp_path, pixels, write_parquet):
    """Serve a hub of one repository from this machine; return its address and what it was asked for."""
    root = tmp_path / "served"
    for folder, labels in (("plain", [0, 1, 2]), ("other", [2, 1, 0])):
        for split in ("train", "test", "validation"):
            names = ["a", "b", "c"]
            write_parquet(root / folder / f"{split}-00000-of-00001.parquet", pixels(3), labels, names=names)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.parquet")}
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.respond(with_body=False)

        def do_GET(self):
            self.respond(with_body=True)

        def respond(self, with_body):
            path = self.path.partition("?")[0]
            asked.append(path)
            file = path.partition(f"/datasets/us/pets/resolve/{COMMIT}/")[2]
            if path.startswith("/api/datasets/us/pets/tree/"):
                body = json.dumps(
                    [
                        {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                        for name, content in files.items()
                    ]
                ).encode()
            elif path.startswith("/api/datasets/us/pets"):
                siblings = [{"rfilename": name} for name in files]
                body = json.dumps({"id": "us/pets", "sha": COMMIT, "siblings": siblings}).encode()
            elif file in files:
                body = files[file]
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def load(sources, endpoint, hub_cache, root="", **environment):
    """Load in a process of its own, as the hub's library reads its address when it is imported.

    Return one line for each source: what was loaded, or the error.
    """
    variables = {"HF_ENDPOINT": endpoint, "HF_HOME": str(hub_cache), **environment}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(root), *sources],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(sources)
    return lines


def test_a_set_is_fetched_from_the_hub_and_kept(hub, tmp_path):
    endpoint, asked = hub
    expected = "hf:us/pets/plain ('a', 'b', 'c') [0, 1, 2] [0, 1, 2]"
    assert load(["hf:us/pets/plain"], endpoint, tmp_path / "hub") == [expected]
    fetched = {path.partition("/resolve/")[2] for path in asked if "/resolve/" in path}
    assert fetched == {f"{COMMIT}/plain/{split}-00000-of-00001.parquet" for split in ("train", "test")}
    asked.clear()
    offline = {"HF_HUB_OFFLINE": "1", "WINNINGHAND_CACHE": str(tmp_path / "another")}
    assert load(["hf:us/pets/plain"], endpoint, tmp_path / "hub", **offline) == [expected]
    assert asked == []


def test_what_the_hub_does_not_have_is_said_in_one_line(hub, tmp_path):
    several, unknown, named = load(
        ["hf:us/pets", "hf:us/nothing", "cifar10"], hub[0], tmp_path / "hub", root=tmp_path
    )
    assert several.startswith("InputError hf:us/pets holds several image sets; give one of them")
    assert unknown.startswith("InputError hf:us/nothing: there is no such repository, or it is private")
    assert named.startswith("InputError cifar10 is not there (looked in cifar10, ")
    assert str(tmp_path) in named
    assert "--root" in named
