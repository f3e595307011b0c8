"""A hub on the loopback: the calls that huggingface-hub makes to put files into a repository and to get them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from hub_large_files import LargeFiles

TOKEN = "hf_double"
API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<verb>preupload|commit|tree|revision)/(?P<rev>[^/?]+))?")
BATCH = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
LARGE = (".safetensors", ".onnx")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<name>.+)")


class HubDouble:
    """Repositories by name, each the content of its files by name. says: sizes that it claims instead of the true.

    large: where set, arrays and graphs are kept there, as the hub itself keeps them; else all goes into commits.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.calls: list[tuple[str, str]] = []
        self.says: dict[str, int] = {}
        self.large: LargeFiles | None = None

    def state(self, repo: str) -> str:
        """A commit's name, made of the content."""
        content = sorted((name, hashlib.sha1(data).hexdigest()) for name, data in self.repositories[repo].items())
        return hashlib.sha1(repr(content).encode()).hexdigest()

    def described(self, repo: str) -> dict[str, Any]:
        """A repository as the hub's API tells of it."""
        files = self.repositories[repo]
        siblings = [
            {"rfilename": name, "size": self.says.get(name, len(data)), "blobId": hashlib.sha1(data).hexdigest()}
            for name, data in files.items()
        ]
        return {
            "id": repo,
            "modelId": repo,
            "sha": self.state(repo),
            "private": self.private[repo],
            "siblings": siblings,
        }

    def commit(self, repo: str, lines: bytes) -> None:
        """What an upload ends in: files added, whole, and files deleted."""
        for line in lines.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                assert entry["value"]["encoding"] == "base64"
                self.repositories[repo][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                assert self.large is not None
                assert entry["value"]["oid"] in self.large.verified
                content = self.large.kept[entry["value"]["oid"]]
                assert entry["value"]["size"] == len(content)
                self.repositories[repo][entry["value"]["path"]] = content
            elif entry["key"] == "deletedFile":
                del self.repositories[repo][entry["value"]["path"]]
            else:
                assert entry["key"] == "header", entry


class _Handler(BaseHTTPRequestHandler):
    hub: HubDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.hub.calls.append(("POST", self.path))
        body = self._body()
        if self.path.startswith("/large/") and self.hub.large is not None:
            return self._json(self.hub.large.post(self.path, body), {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid credentials"})
        if self.path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
            there = repo in self.hub.repositories
            self.hub.repositories.setdefault(repo, {})
            self.hub.private.setdefault(repo, asked.get("visibility") == "private")
            return self._json(409 if there else 200, {"url": f"{self.hub.endpoint}/{repo}"})
        found = API.match(self.path)
        if found and found["verb"] == "preupload":
            named = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": path, "uploadMode": self._mode(path), "shouldIgnore": False, "oid": None} for path in named
            ]
            return self._json(200, {"files": modes})
        if found and found["verb"] == "commit":
            self.hub.commit(found["repo"], body)
            state = self.hub.state(found["repo"])
            address = f"{self.hub.endpoint}/{found['repo']}/commit/{state}"
            return self._json(200, {"success": True, "commitOid": state, "commitUrl": address, "hookOutput": ""})
        if BATCH.fullmatch(self.path) and self.hub.large is not None:
            return self._json(200, self.hub.large.batch(json.loads(body)))
        return self._json(404, {"error": f"no such call: {self.path}"})

    def do_PUT(self) -> None:
        self.hub.calls.append(("PUT", self.path))
        body = self._body()
        assert self.headers.get("Authorization") is None, "the address of a large file is no place for the token"
        assert self.hub.large is not None
        self._answer(200, b"", "application/octet-stream", {"ETag": f'"{self.hub.large.put(self.path, body)}"'})

    def _mode(self, path: str) -> str:
        return "lfs" if self.hub.large is not None and path.endswith(LARGE) else "regular"

    def do_GET(self) -> None:
        self.hub.calls.append((self.command, self.path))
        path = unquote(self.path.partition("?")[0])
        found = API.fullmatch(path)
        if found and found["repo"] in self.hub.repositories:
            if found["verb"] == "tree":
                files = self.hub.repositories[found["repo"]].items()
                told = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in files
                ]
                return self._json(200, told)
            return self._json(200, self.hub.described(found["repo"]))
        if path.startswith("/large/") and self.hub.large is not None:
            return self._answer(200, self.hub.large.kept[path.split("/")[2]], "application/octet-stream", {})
        wanted = FILE.fullmatch(path)
        if wanted and wanted["name"] in self.hub.repositories.get(wanted["repo"], {}):
            data = self.hub.repositories[wanted["repo"]][wanted["name"]]
            headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.hub.state(wanted["repo"])}
            oid = hashlib.sha256(data).hexdigest()
            if self.hub.large is not None and oid in self.hub.large.kept:
                headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(data))}
                elsewhere = self.hub.endpoint.replace("127.0.0.1", "localhost")  # another host, as the hub's store is
                return self._answer(302, b"", "text/plain", headers | {"Location": f"{elsewhere}/large/{oid}"})
            return self._answer(200, data, "application/octet-stream", headers)
        return self._answer(404, b"{}", "application/json", {"X-Error-Code": "RepoNotFound"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content).encode(), "application/json", {})

    def _answer(self, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def hub_double() -> Iterator[HubDouble]:
    """A hub that answers while the block runs."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.hub = hub = HubDouble(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
