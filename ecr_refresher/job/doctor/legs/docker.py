"""The legs of docker logins: the `config.json` files, what they hold, which tools find that, and the engines."""

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

ECR_HELPER = PREFIX + ECR_LOGIN


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all files and engines. A reader only tries what the files hold, as the user that it runs as."""
    for docker in checkup.plan.dockers:
        if not checkup.reader:
            words, act = f"looked whether {docker.config_file} can be written", partial(_place, checkup, docker)
            yield Leg("file", docker.sink, words, act, required=docker.required)
        for registry in checkup.registries(docker.registries):
            yield from _login_legs(checkup, docker, registry)
        if docker.engine is not None and not checkup.reader:
            yield from _engine_legs(checkup, docker, docker.engine)


def _place(checkup: Checkup, docker: DockerConfig) -> list[Finding]:
    return files.place(checkup.tools.docker(docker).examine(), docker.mode, docker.uid, docker.gid)


def _login_legs(checkup: Checkup, docker: DockerConfig, registry: Registry) -> Iterator[Leg]:
    """What the file holds for one registry, and which tools find that."""
    host, file = registry.host, docker.config_file
    who = f"uid {docker.uid}" if os.geteuid() == 0 and docker.uid else "this user"
    sink = partial(checkup.tools.docker, docker)
    leg = partial(Leg, subject=f"{docker.sink} {registry.name}", required=docker.required and registry.required)

    def claimed() -> list[Finding]:
        seen = sink().inspect(host)
        if seen.helper is None:
            return [ok("none does, so the login is kept in the file")]
        if not seen.on_path:
            fix = f"Install it, or remove {host} from credHelpers, or credsStore, in {file}"
            return [failed(f"{seen.helper} claims it and is not on PATH, so every docker command fails there", fix)]
        if seen.helper == ECR_HELPER:
            return [ok(f"{seen.helper} does: it fetches a login at each pull, so nothing is written")]
        return [ok(f"{seen.helper} does, and keeps the login")]

    def held() -> list[Finding]:
        holding = sink().look(host, checkup.tools.clock.now())
        old = [files.old_entry(url, file) for url in sink().inspect(host).urls]
        return [*old, checkup.freshness(registry, holding)]

    def read() -> list[Finding]:
        if sink().inspect(host).helper == ECR_HELPER:
            return [ok("the helper answers them")]
        if sink().look(host, checkup.tools.clock.now()).until is None:
            return [ok("it holds no login yet")]
        return files.readers(sink().readers(host), file, who)

    words = f"looked whether a credential helper claims {host} there"
    yield (helper := leg("helper", tried=words, act=claimed, after=needs_host(registry)))
    words, token = f"looked what it holds for {host}", token_key(registry.principal)
    yield (entry := leg("entry", tried=words, act=held, after=(helper.key,), waits_for=(token,)))
    yield leg("reader", tried=f"looked for it as the tools of {who} do", act=read, after=(entry.key,))


def _engine_legs(checkup: Checkup, docker: DockerConfig, engine: Engine) -> Iterator[Leg]:
    file = docker.config_file

    def mounts() -> list[Finding]:
        if not (names := docker_engine.containers_that_mount(engine, file)):
            return [ok("none does")]
        what = f"{', '.join(names)} mounts the file itself, and keeps the old one when it is replaced"
        fix = f"Mount its directory {os.path.dirname(file)} there instead, and start the container again"
        return [warning(what, fix)]

    def log_in(registry: Registry) -> list[Finding]:
        checkup.tools.engine_login(engine, registry.host, checkup.credentials[registry.principal.key])
        return [ok("the registry accepts the token")]

    words, act = f"asked the engine at {engine.url} for its version", lambda: [ok(docker_engine.version(engine))]
    yield (answers := Leg("engine", engine.url, words, act, required=docker.required))
    words = f"looked for running containers that mount {file} itself"
    yield Leg("mounts", file, words, mounts, (answers.key,), required=False)
    for registry in checkup.registries(docker.registries):
        yield Leg(
            "engine login",
            f"{engine.url} {registry.name}",
            f"had it log in at {registry.host}, which leaves nothing there",
            partial(log_in, registry),
            after=(*needs_host(registry), answers.key, token_key(registry.principal)),
            required=docker.required and registry.required,
        )
