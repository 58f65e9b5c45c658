"""Images put straight into a registry by its API: thirty of them in a second, and no engine is needed.

Each has busybox as the layer that all share, and one of its own that doesn't compress.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import urllib.request
from dataclasses import dataclass
from functools import cache

from tests.testbed import parts
from tests.testbed.engine import APPLETS

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Layer:
    packed: bytes
    diff_id: str


def publish(upstream: str, repository: str, tag: str, size: int, created: str = "2026-01-01T00:00:00Z") -> None:
    """Put an image of `size` random bytes, besides busybox, into the registry at `upstream` (plain http, no login)."""
    layers = [_busybox(), _layer({"blob": os.urandom(size)})]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Cmd": ["/bin/true"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            {"created": created, "created_by": "COPY busybox"},
            {"created": created, "created_by": f"COPY blob of {repository}:{tag}"},
        ],
    }
    packed = json.dumps(config).encode()
    for blob in (packed, *(layer.packed for layer in layers)):
        _upload(upstream, repository, blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(packed), "digest": _digest(packed)},
        "layers": [
            {"mediaType": _LAYER, "size": len(layer.packed), "digest": _digest(layer.packed)} for layer in layers
        ],
    }
    _send("PUT", f"{upstream}/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), _MANIFEST)


def _upload(upstream: str, repository: str, blob: bytes) -> None:
    begun = _send("POST", f"{upstream}/v2/{repository}/blobs/uploads/", b"")
    joint = "&" if "?" in begun else "?"
    _send("PUT", f"{begun}{joint}digest={_digest(blob)}", blob)


def _send(method: str, url: str, body: bytes, content_type: str = "application/octet-stream") -> str:
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method=method)
    with _DIRECT.open(request, timeout=20) as answer:
        return str(answer.headers.get("Location", ""))


@cache
def _busybox() -> Layer:
    links = {f"bin/{applet}": "busybox" for applet in APPLETS}
    return _layer({"bin/busybox": parts.BUSYBOX.read_bytes()}, links)


def _layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> Layer:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    plain = buffer.getvalue()
    return Layer(gzip.compress(plain, 0, mtime=0), _digest(plain))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
