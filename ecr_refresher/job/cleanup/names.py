"""Image names as the engine shows them: `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@DIGEST`, or without a host."""

from __future__ import annotations

DOCKER_HUB = "docker.io"


def host(name: str) -> str:
    """The registry's host, by docker's own rule: what stands first, if it can be a host."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB


def repository(name: str) -> str:
    """The name without its tag or digest."""
    bare = name.partition("@")[0]
    head, colon, tag = bare.rpartition(":")
    return head if colon and "/" not in tag else bare
