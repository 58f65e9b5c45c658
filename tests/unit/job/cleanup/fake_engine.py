"""An engine as far as the cleanup asks it, with what a real one does on a bad day: no I/O, and no stand-in for tests
of what goes and what stays, which have a real one."""

from __future__ import annotations

import datetime as dt
import queue
import uuid
from collections.abc import Iterator
from typing import Any

import requests
from docker.errors import APIError, NotFound

from ecr_refresher.job.aws.clock import AwsClock


def refused(status: int, text: str) -> APIError:
    """As docker-py raises it."""
    response = requests.Response()
    response.status_code = status
    return (NotFound if status == 404 else APIError)(text, response=response, explanation=text)


class Streamed:
    """The events of an engine as they come; None is the end."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (event := self.queue.get()) is not None:
            yield event

    def close(self) -> None:
        self.queue.put(None)


class FakeEngine:
    """Its events are in its book at once, and come over the stream if `told` says so."""

    def __init__(self, clock: AwsClock, *, told: bool = False, podman: bool = False) -> None:
        self.clock, self.told, self.podman = clock, told, podman
        self.book: list[dict[str, Any]] = []
        self.stream = Streamed()
        self.names: dict[str, list[str]] = {}  # image -> its tags
        self.digests: dict[str, list[str]] = {}
        self.boxes: dict[str, dict[str, Any]] = {}  # container -> what is said of it
        self.broken: dict[str, APIError | requests.Timeout] = {}  # what is asked about -> how that ends
        self.gone: list[str] = []
        self.ahead_s = 0.0  # its clock

    def now(self) -> float:
        return self.clock.now() + self.ahead_s

    # --- what is there -----------------------------------------------------------------------------------------------
    def add(self, image: str, *names: str) -> None:
        self.names[image] = [name for name in names if "@" not in name]
        self.digests[image] = [name for name in names if "@" in name]

    def run(self, container: str, image: str, name: str, state: str, *, ended_s_ago: float = 0.0) -> None:
        ended = dt.datetime.fromtimestamp(self.now() - ended_s_ago, dt.UTC).isoformat()
        shown = name if name in self.names.get(image, ()) else image  # as a list has it
        self.boxes[container] = {"image": image, "name": name, "shown": shown, "state": state, "ended": ended}

    def happen(self, kind: str, action: str, ident: str, **attributes: str) -> dict[str, Any]:
        actor = {"ID": ident, "Attributes": attributes}
        event = {"Type": kind, "Action": action, "Actor": actor, "timeNano": int(self.now() * 1e9)}
        self.book.append(event)
        if self.told:
            self.stream.queue.put(event)
        return event

    # --- what docker-py's client does --------------------------------------------------------------------------------
    def info(self) -> dict[str, str]:
        now = dt.datetime.fromtimestamp(self.now(), dt.UTC).isoformat()
        told = {"ID": "engine", "DockerRootDir": "/nonexistent", "SystemTime": now, "Name": "host"}
        return told | {"ID": str(uuid.uuid4()), "BuildahVersion": "1.28.2"} if self.podman else told

    def images(self, **_: object) -> list[dict[str, Any]]:
        return [self.inspect_image(image) for image in self.names]

    def inspect_image(self, name: str) -> dict[str, Any]:
        for image, tags in self.names.items():
            if name in (image, *tags, *self.digests[image]):
                its = {"RepoTags": tags, "RepoDigests": self.digests[image], "ParentId": "", "Size": 5}
                return {"Id": image, **its, "RootFS": {"Layers": []}}
        raise refused(404, f"No such image: {name}")

    def history(self, image: str) -> list[dict[str, Any]]:
        self._break(image)
        return [{"Size": 5, "Created": 1, "CreatedBy": image}]

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [
            {"Id": ident, "Names": [f"/{ident}"], "ImageID": box["image"], "Image": box["shown"], "State": box["state"]}
            | {"Created": 0, "Labels": {}}
            for ident, box in self.boxes.items()
        ]

    def inspect_container(self, ident: str) -> dict[str, Any]:
        self._break(ident)
        if ident not in self.boxes:
            raise refused(404, f"No such container: {ident}")
        box = self.boxes[ident]
        state = {"Status": box["state"], "FinishedAt": box["ended"]}
        return {"Image": box["image"], "Config": {"Image": box["name"]}, "State": state, "Created": box["ended"]}

    def events(self, *, since: str = "0", until: str | None = None, decode: bool) -> Any:
        if until is None:
            return self.stream
        if self.podman:
            return []
        if float(since) > float(until):
            raise refused(400, "`since` time cannot be after `until` time")
        return [event for event in self.book if float(since) <= event["timeNano"] / 1e9 <= float(until)]

    def df(self) -> dict[str, Any]:
        return {"Volumes": [{"UsageData": {"Size": 70}}, {"UsageData": {"Size": -1}}, {}], "Containers": None}

    def remove_container(self, ident: str, **_: object) -> None:
        self._break(f"rm {ident}")
        self.gone.append(ident)
        self.happen("container", "destroy", ident, image=self.boxes.pop(ident)["name"])

    def remove_image(self, ref: str) -> None:
        self._break(f"rm {ref}")
        image = self.inspect_image(ref)["Id"]
        if ref == image or self.names[image] == [ref]:
            self.gone.append(image)
            del self.names[image]
        else:
            self.names[image].remove(ref)

    def tag(self, image: str, repository: str, tag: str) -> None:
        for tags in self.names.values():
            if f"{repository}:{tag}" in tags:
                tags.remove(f"{repository}:{tag}")
        self.names[image].append(f"{repository}:{tag}")

    def close(self) -> None:
        pass

    def _break(self, what: str) -> None:
        if what in self.broken:
            raise self.broken[what]
