"""The legs of docker logins: the `config.json` files, what they hold, which tools find that, and the engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from ....core.plan import DockerConfig, Engine, Registry
from ...net import engine as docker_engine
from ...sinks.docker.helper import ECR_LOGIN, PREFIX
from .. import files
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, failed, ok, warning
from ..trying import Leg


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all files and engines."""
    for docker in checkup.plan.dockers:
        words, act = f"looked whether {docker.config_file} can be written", partial(_place, checkup, docker)
        yield Leg("file", docker.sink, words, act, required=docker.required)
        yield from _entry_legs(checkup, docker)
        if docker.engine is not None:
            yield from _engine_legs(checkup, docker, docker.engine)


def reader_legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of `check --reader`: what the files hold, as the user that it runs as reads them."""
    for docker in checkup.plan.dockers:
        yield from _entry_legs(checkup, docker)


def _entry_legs(checkup: Checkup, docker: DockerConfig) -> Iterator[Leg]:
    """The legs of each registry in one file: what it holds, and which tools find that."""
    who = f"uid {docker.uid}" if os.geteuid() == 0 and docker.uid else "this user"
    for registry in checkup.registries(docker.registries):
        host, subject, of_all = registry.host, f"{docker.sink} {registry.name}", (checkup, docker, registry)
        required = docker.required and registry.required
        words = f"looked whether a credential helper claims {host} there"
        helper = Leg("helper", subject, words, partial(_helper, *of_all), needs_host(registry), required=required)
        token = (token_key(registry.principal),)
        words = f"looked what it holds for {host}"
        entry = Leg("entry", subject, words, partial(_look, *of_all), (helper.key,), token, required=required)
        words = f"looked for it as the tools of {who} do"
        reader = Leg("reader", subject, words, partial(_readers, *of_all, who), (entry.key,), required=required)
        yield from (helper, entry, reader)


def _place(checkup: Checkup, docker: DockerConfig) -> list[Finding]:
    return files.place(checkup.tools.docker(docker).examine(), docker.mode, docker.uid, docker.gid)


def _helper(checkup: Checkup, docker: DockerConfig, registry: Registry) -> list[Finding]:
    seen = checkup.tools.docker(docker).inspect(registry.host)
    if seen.helper is None:
        return [ok("none does, so the login is kept in the file")]
    if not seen.on_path:
        fix = f"Install it, or remove {registry.host} from credHelpers, or credsStore, in {docker.config_file}"
        return [failed(f"{seen.helper} claims it and is not on PATH, so every docker command fails there", fix)]
    if seen.helper == PREFIX + ECR_LOGIN:
        return [ok(f"{seen.helper} does: it fetches a login at each pull, so nothing is written")]
    return [ok(f"{seen.helper} does, and keeps the login")]


def _look(checkup: Checkup, docker: DockerConfig, registry: Registry) -> list[Finding]:
    sink = checkup.tools.docker(docker)
    held = sink.look(registry.host, checkup.tools.clock.now())
    found = [files.old_entry(url, docker.config_file) for url in sink.inspect(registry.host).urls]
    return [*found, checkup.freshness(held, registry)]


def _readers(checkup: Checkup, docker: DockerConfig, registry: Registry, who: str) -> list[Finding]:
    sink = checkup.tools.docker(docker)
    if sink.inspect(registry.host).helper == PREFIX + ECR_LOGIN:
        return [ok("the helper answers them")]
    if sink.look(registry.host, checkup.tools.clock.now()).until is None:
        return [ok("it holds no login yet")]
    return files.readers(sink.readers(registry.host), docker.config_file, who)


def _engine_legs(checkup: Checkup, docker: DockerConfig, engine: Engine) -> Iterator[Leg]:
    words = f"asked the engine at {engine.url} for its version"
    answers = Leg("engine", engine.url, words, partial(_version, engine), required=docker.required)
    yield answers
    file = docker.config_file
    words = f"looked for running containers that mount {file} itself"
    yield Leg("mounts", file, words, partial(_mounts, engine, file), (answers.key,), required=False)
    for registry in checkup.registries(docker.registries):
        yield Leg(
            "engine login",
            f"{engine.url} {registry.name}",
            f"had it log in at {registry.host}, which leaves nothing there",
            partial(_engine_login, checkup, engine, registry),
            after=(*needs_host(registry), answers.key, token_key(registry.principal)),
            required=docker.required and registry.required,
        )


def _version(engine: Engine) -> list[Finding]:
    return [ok(docker_engine.version(engine))]


def _engine_login(checkup: Checkup, engine: Engine, registry: Registry) -> list[Finding]:
    checkup.tools.engine_login(engine, registry.host, checkup.credential(registry))
    return [ok("the registry accepts the token")]


def _mounts(engine: Engine, config_file: str) -> list[Finding]:
    names = docker_engine.containers_that_mount(engine, config_file)
    if not names:
        return [ok("none does")]
    what = f"{', '.join(names)} mounts the file itself, and keeps the old one when it is replaced"
    fix = f"Mount its directory {os.path.dirname(config_file)} there instead, and start the container again"
    return [warning(what, fix)]
