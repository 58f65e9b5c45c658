"""The engine's containers and images: its answers as the policy's types."""

import contextlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from docker import APIClient
from docker.errors import APIError, NotFound

from .policy import Container, Image

LOOKUPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who it is, where it keeps its data (as it sees it), and its time.

    Podman gives no past events, another id at each question, and has no build cache.
    """

    id: str
    data_root: str
    time: float
    podman: bool = False


def info(api: APIClient) -> EngineInfo:
    told: Mapping[str, Any] = api.info()
    podman, root = "BuildahVersion" in told, str(told["DockerRootDir"])
    ident = f"podman {told['Name']} {root}" if podman else str(told["ID"])
    return EngineInfo(ident, root, moment(told["SystemTime"]) or 0.0, podman)


def inspect_image(api: APIClient, name: str) -> Mapping[str, Any]:
    """The engine's answer; raises its client's errors."""
    return api.inspect_image(name)  # type: ignore[no-untyped-call, no-any-return]


def image_named(api: APIClient, name: str) -> str | None:
    """The id of the image that has this name now."""
    with contextlib.suppress(NotFound):
        return str(inspect_image(api, name)["Id"])
    return None


def image(raw: Mapping[str, Any]) -> Image:
    """One image, as listed or as inspected."""
    tags, digests = (
        tuple(name for name in raw[key] or () if "<none>" not in name) for key in ("RepoTags", "RepoDigests")
    )
    return Image(raw["Id"], tags, digests, raw.get("ParentId") or raw.get("Parent") or "", raw["Size"])


def containers(api: APIClient) -> list[Container]:
    """Every container, without the time of its end: see `ended_at`."""
    return [
        Container(
            raw["Id"],
            (raw["Names"] or [raw["Id"][:12]])[0].removeprefix("/"),
            raw["ImageID"],
            raw["Image"],
            raw["State"],
            labels=raw["Labels"] or {},
        )
        for raw in api.containers(all=True)
    ]


def ended_at(api: APIClient, container: Container) -> Container:
    """The container with its state and the time of its end as they are now, on the engine's clock.

    And with the name of the image that it was made with: lists show an id once that name means another one.
    """
    raw = api.inspect_container(container.id)
    state = raw["State"]
    return replace(
        container,
        state=state["Status"],
        image_name=raw["Config"]["Image"],
        ended_at=moment(state.get("FinishedAt")) or moment(raw["Created"]),
    )


def made_of(api: APIClient, container: str) -> frozenset[str]:
    """A container's image, as the engine names it; none if it is gone."""
    with contextlib.suppress(APIError, KeyError):
        return frozenset({str(api.inspect_container(container)["Image"])})
    return frozenset()


def with_layers(api: APIClient, found: Iterable[Image]) -> list[Image]:
    """The images with their layers; two calls for each, so only where it is needed."""
    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        return list(pool.map(lambda one: _with_layers(api, one), found))


def _with_layers(api: APIClient, one: Image) -> Image:
    try:
        history: list[Mapping[str, Any]] = api.history(one.id)  # type: ignore[no-untyped-call]
        steps = [step for step in reversed(history) if step["Size"]]
        digests = inspect_image(api, one.id)["RootFS"].get("Layers") or []
    except APIError:  # gone or broken: count nothing as shared
        return one
    # The API gives digests without sizes, and sizes of steps. Where some layers are empty the two don't match: then
    # the steps themselves, with those before them, identify images of one base.
    keys = digests if len(digests) == len(steps) else [f"{s['Created']} {s['CreatedBy']} {s['Size']}" for s in steps]
    chain, layers = "", []
    for key, step in zip(keys, steps, strict=True):
        chain = sha256(f"{chain}\n{key}".encode()).hexdigest()
        layers.append((chain, int(step["Size"])))
    return replace(one, layers=tuple(layers))


def moment(text: str | None) -> float | None:
    """Seconds since the epoch of the engine's RFC 3339 with nanoseconds; None for its 'never', the year 1."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()
