"""Image names as the engine shows them: `HOST/REPOSITORY:TAG`, `HOST/REPOSITORY@DIGEST`, or without a host."""

DOCKER_HUB = "docker.io"
_HUB_PREFIXES = ("docker.io/", "index.docker.io/")
_LIBRARY = "library/"


def familiar(name: str) -> str:
    """As the engine shows it: `docker.io/library/busybox:1` is `busybox:1` in its lists."""
    for prefix in _HUB_PREFIXES:
        name = name.removeprefix(prefix)
    return name.removeprefix(_LIBRARY)


def spellings(name: str) -> set[str]:
    """The name with and without its host; one of Docker Hub in every way that Docker, Podman or people write it."""
    of = host(name)
    spelled = {name, name.removeprefix(f"{of}/")}
    if f"{of}/" in _HUB_PREFIXES:
        short = familiar(name)
        long = short if "/" in short else f"{_LIBRARY}{short}"
        spelled |= {f"{prefix}{one}" for prefix in ("", *_HUB_PREFIXES) for one in (short, long)}
    return spelled


def host(name: str) -> str:
    """The registry's host, by docker's own rule: what stands first, if it can be a host."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB


def repository(name: str) -> str:
    """The name without its tag or digest."""
    bare = name.partition("@")[0]
    head, colon, tag = bare.rpartition(":")
    return head if colon and "/" not in tag else bare
