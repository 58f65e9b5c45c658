"""Docker: its `config.json` files, what they hold, who would find that there, and the engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from ....core.plan import DockerConfig, Engine, Registry
from ...net import engine as docker_engine
from ...sinks.docker.helper import ECR_LOGIN, PREFIX
from .. import files, holding
from ..findings import Finding, failed, ok, warning
from ..scene import Scene, needs_host, token_key
from ..trying import Leg


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of all files and engines."""
    for docker in scene.plan.dockers:
        yield Leg(
            "file",
            docker.sink,
            f"looked where {docker.config_file} is to be written",
            partial(_place, scene, docker),
            required=docker.required,
        )
        for name in docker.registries:
            registry = scene.plan.registry(name)
            if registry.alias_of is None:
                yield from entry_legs(scene, docker, registry)
        if docker.engine is not None:
            yield from _engine_legs(scene, docker, docker.engine)


def entry_legs(scene: Scene, docker: DockerConfig, registry: Registry) -> Iterator[Leg]:
    """What one file holds for one registry, and who would find it there."""
    subject = f"{docker.sink} {registry.name}"
    required = docker.required and registry.required
    helper = Leg(
        "helper",
        subject,
        f"looked whether a credential helper claims {registry.host} there",
        partial(_helper, scene, docker, registry),
        after=needs_host(registry),
        required=required,
    )
    entry = Leg(
        "entry",
        subject,
        f"looked what it holds for {registry.host}",
        partial(_look, scene, docker, registry),
        after=(helper.key,),
        waits_for=(token_key(registry.principal),),
        required=required,
    )
    who = f"uid {docker.uid}" if os.geteuid() == 0 and docker.uid else "this user"
    reader = Leg(
        "reader",
        subject,
        f"looked for it as docker-py and the docker command of {who} would",
        partial(_readers, scene, docker, registry, who),
        after=(entry.key,),
        required=required,
    )
    yield from (helper, entry, reader)


def _place(scene: Scene, docker: DockerConfig) -> list[Finding]:
    return files.place(
        scene.tools.docker(docker).examine(), 0o600 if docker.mode is None else docker.mode, docker.uid, docker.gid
    )


def _helper(scene: Scene, docker: DockerConfig, registry: Registry) -> list[Finding]:
    claim = scene.tools.docker(docker).claimed_by(registry.host)
    if claim is None:
        return [ok("none does, so the login stands in the file")]
    program, on_path = claim
    if not on_path:
        return [
            failed(
                f"{program} claims it, and is not on PATH, so that every docker command fails there",
                f"install it, or take {registry.host} out of credHelpers, or credsStore out, in {docker.config_file}",
            )
        ]
    if program == PREFIX + ECR_LOGIN:
        return [ok(f"{program} does: it fetches logins by itself, as whoever pulls, and nothing is written for it")]
    return [ok(f"{program} does, and is given the login to keep")]


def _look(scene: Scene, docker: DockerConfig, registry: Registry) -> list[Finding]:
    sink = scene.tools.docker(docker)
    now = scene.tools.clock.now()
    held = sink.look(registry.host, now)
    found = [
        warning(
            f"an old entry '{twin}' stands beside it, which tools that look by URL take",
            f"docker --config {os.path.dirname(docker.config_file)} logout {registry.host}, "
            "then run `ecr-refresher once`",
        )
        for twin in sink.twins(registry.host)
    ]
    return [*found, holding.judged(held, now, held.life or scene.life(registry), scene.plan.refresh)]


def _readers(scene: Scene, docker: DockerConfig, registry: Registry, who: str) -> list[Finding]:
    sink = scene.tools.docker(docker)
    claim = sink.claimed_by(registry.host)
    if claim is not None and claim[0] == PREFIX + ECR_LOGIN:
        return [ok("the helper answers them")]
    if sink.look(registry.host, scene.tools.clock.now()).until is None:
        return [ok("there is nothing to be found yet")]
    return [files.readers(sink.readers(registry.host), docker.config_file, who)]


def _engine_legs(scene: Scene, docker: DockerConfig, engine: Engine) -> Iterator[Leg]:
    answers = Leg(
        "engine",
        engine.url,
        f"asked the engine at {engine.url} who it is",
        lambda: [ok(f"Docker {docker_engine.version(engine)}")],
        required=docker.required,
    )
    yield answers
    for name in docker.registries:
        registry = scene.plan.registry(name)
        if registry.alias_of is None:
            yield Leg(
                "engine login",
                f"{engine.url} {name}",
                f"had it log in at {registry.host}; it keeps nothing of that",
                partial(_engine_login, scene, engine, registry),
                after=(*needs_host(registry), answers.key, token_key(registry.principal)),
                required=docker.required and registry.required,
            )


def _engine_login(scene: Scene, engine: Engine, registry: Registry) -> list[Finding]:
    scene.tools.engine_login(engine, registry.host, scene.credential(registry))
    return [ok("it takes the token")]
