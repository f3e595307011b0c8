"""The large files of the hub on the loopback: the batch protocol of Git LFS, with the hub's own parts and completion.

As huggingface-hub speaks it where its package for Xet is not used: first it asks for addresses, then it puts each
file there, whole or in parts, has it verified, and names it in a commit by its hash alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LargeFiles:
    """Contents by their SHA-256. part: the bytes of a part; a file that is larger comes in several."""

    endpoint: str
    part: int
    kept: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)

    def batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Where each file goes; nowhere for one that is there already."""
        assert (asked["operation"], asked["hash_algo"]) == ("upload", "sha256")
        return {"transfer": "basic", "objects": [self._object(each["oid"], each["size"]) for each in asked["objects"]]}

    def _object(self, oid: str, size: int) -> dict[str, Any]:
        about: dict[str, Any] = {"oid": oid, "size": size}
        if oid in self.kept:
            return about
        upload: dict[str, Any] = {"href": f"{self.endpoint}/large/{oid}"}
        if size > self.part:
            addresses = {str(n + 1): f"{self.endpoint}/large/{oid}/{n + 1}" for n in range(-(-size // self.part))}
            upload = {"href": f"{self.endpoint}/large/{oid}/complete", "header": {"chunk_size": str(self.part)}}
            upload["header"] |= addresses
        return about | {"actions": {"upload": upload, "verify": {"href": f"{self.endpoint}/large/{oid}/verify"}}}

    def put(self, path: str, content: bytes) -> str:
        """Take a file or a part of one; its etag."""
        _, _, oid, *number = path.split("/")
        if number:
            self.parts[oid, int(number[0])] = content
        else:
            self._keep(oid, content)
        return hashlib.md5(content).hexdigest()

    def post(self, path: str, body: bytes) -> int:
        """Complete a file of its parts, or verify one; the status."""
        _, _, oid, what = path.split("/")
        asked = json.loads(body)
        assert asked["oid"] == oid
        if what == "complete":
            contents = [self.parts[oid, each["partNumber"]] for each in asked["parts"]]
            etags = [hashlib.md5(content).hexdigest() for content in contents]
            assert etags == [each["etag"].strip('"') for each in asked["parts"]]
            self._keep(oid, b"".join(contents))
            return 200
        if len(self.kept.get(oid, b"")) != asked["size"]:
            return 404
        self.verified.add(oid)
        return 200

    def _keep(self, oid: str, content: bytes) -> None:
        assert hashlib.sha256(content).hexdigest() == oid
        self.kept[oid] = content
