"""The legs of docker logins: the `config.json` files, what they hold, which tools find that, and the engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from ....core.plan import DockerConfig, Engine, Registry
from ...net import engine as docker_engine
from ...sinks.docker.helper import ECR_LOGIN, PREFIX
from .. import files, freshness
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, failed, ok, warning
from ..trying import Leg


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all files and engines."""
    for docker in checkup.plan.dockers:
        yield Leg(
            "file",
            docker.sink,
            f"looked whether {docker.config_file} can be written",
            partial(_place, checkup, docker),
            required=docker.required,
        )
        for name in docker.registries:
            registry = checkup.plan.registry(name)
            if registry.alias_of is None:
                yield from entry_legs(checkup, docker, registry)
        if docker.engine is not None:
            yield from _engine_legs(checkup, docker, docker.engine)


def entry_legs(checkup: Checkup, docker: DockerConfig, registry: Registry) -> Iterator[Leg]:
    """The legs of one registry in one file: what it holds, and which tools find that."""
    subject = f"{docker.sink} {registry.name}"
    required = docker.required and registry.required
    helper = Leg(
        "helper",
        subject,
        f"looked whether a credential helper claims {registry.host} there",
        partial(_helper, checkup, docker, registry),
        after=needs_host(registry),
        required=required,
    )
    entry = Leg(
        "entry",
        subject,
        f"looked what it holds for {registry.host}",
        partial(_look, checkup, docker, registry),
        after=(helper.key,),
        waits_for=(token_key(registry.principal),),
        required=required,
    )
    who = f"uid {docker.uid}" if os.geteuid() == 0 and docker.uid else "this user"
    reader = Leg(
        "reader",
        subject,
        f"looked for it as the tools of {who} do",
        partial(_readers, checkup, docker, registry, who),
        after=(entry.key,),
        required=required,
    )
    yield from (helper, entry, reader)


def _place(checkup: Checkup, docker: DockerConfig) -> list[Finding]:
    return files.place(checkup.tools.docker(docker).examine(), docker.mode, docker.uid, docker.gid)


def _helper(checkup: Checkup, docker: DockerConfig, registry: Registry) -> list[Finding]:
    seen = checkup.tools.docker(docker).inspect(registry.host)
    if seen.helper is None:
        return [ok("none does, so the login is kept in the file")]
    if not seen.on_path:
        return [
            failed(
                f"{seen.helper} claims it and is not on PATH, so every docker command fails there",
                f"Install it, or remove {registry.host} from credHelpers, or credsStore, in {docker.config_file}",
            )
        ]
    if seen.helper == PREFIX + ECR_LOGIN:
        return [ok(f"{seen.helper} does: it fetches logins itself for whoever pulls, so nothing is written")]
    return [ok(f"{seen.helper} does, and keeps the login")]


def _look(checkup: Checkup, docker: DockerConfig, registry: Registry) -> list[Finding]:
    sink = checkup.tools.docker(docker)
    now = checkup.tools.clock.now()
    held = sink.look(registry.host, now)
    found = [files.old_entry(url, docker.config_file) for url in sink.inspect(registry.host).urls]
    return [*found, freshness.judged(held, now, held.life or checkup.life(registry), checkup.plan.refresh)]


def _readers(checkup: Checkup, docker: DockerConfig, registry: Registry, who: str) -> list[Finding]:
    sink = checkup.tools.docker(docker)
    if sink.inspect(registry.host).helper == PREFIX + ECR_LOGIN:
        return [ok("the helper answers them")]
    if sink.look(registry.host, checkup.tools.clock.now()).until is None:
        return [ok("it holds no login yet")]
    return files.readers(sink.readers(registry.host), docker.config_file, who)


def _engine_legs(checkup: Checkup, docker: DockerConfig, engine: Engine) -> Iterator[Leg]:
    answers = Leg(
        "engine",
        engine.url,
        f"asked the engine at {engine.url} for its version",
        lambda: [ok(docker_engine.version(engine))],
        required=docker.required,
    )
    yield answers
    yield Leg(
        "mounts",
        docker.config_file,
        f"looked for running containers that mount {docker.config_file} itself",
        partial(_mounts, engine, docker.config_file),
        after=(answers.key,),
        required=False,
    )
    for name in docker.registries:
        registry = checkup.plan.registry(name)
        if registry.alias_of is None:
            yield Leg(
                "engine login",
                f"{engine.url} {name}",
                f"had it log in at {registry.host}, which leaves nothing there",
                partial(_engine_login, checkup, engine, registry),
                after=(*needs_host(registry), answers.key, token_key(registry.principal)),
                required=docker.required and registry.required,
            )


def _engine_login(checkup: Checkup, engine: Engine, registry: Registry) -> list[Finding]:
    checkup.tools.engine_login(engine, registry.host, checkup.credential(registry))
    return [ok("the registry takes the token")]


def _mounts(engine: Engine, config_file: str) -> list[Finding]:
    names = docker_engine.containers_that_mount(engine, config_file)
    if not names:
        return [ok("none does")]
    return [
        warning(
            f"{', '.join(names)} mounts the file itself, and keeps the old one when it is replaced",
            f"Mount its directory {os.path.dirname(config_file)} there instead, and start the container again",
        )
    ]
