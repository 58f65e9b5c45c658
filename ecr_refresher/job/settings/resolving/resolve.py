"""From typed settings to the plan: defaults that depend on the surroundings, and what must fit together."""

from __future__ import annotations

from ....core import plan
from ..problems import Problems
from ..schema import DockerEntry, RefreshEntry, ServerEntry, Settings
from . import airflow, cleanup, docker, kubernetes, registries, tls
from .paths import Paths


def resolve(settings: Settings, paths: Paths, problems: Problems, euid: int) -> plan.Plan:
    """Make the plan. It is of use only if `problems` has no errors then."""
    known = registries.resolve(settings.registries, paths, problems)
    airflows = airflow.resolve(settings.airflow, known, paths, problems)
    dockers = settings.docker
    sinks = settings.airflow or settings.docker or settings.kubernetes
    if not sinks and not problems.is_spoiled(("airflow",)) and not problems.is_spoiled(("kubernetes",)):
        dockers = [DockerEntry()]  # what `docker login` would do
        problems.show_as(("docker", 0), problems.show(("docker",)))
    return plan.Plan(
        registries=known.every,
        airflows=airflows,
        dockers=docker.resolve(dockers, known, paths, problems, euid),
        refresh=_refresh(settings.refresh, problems),
        cleanup=cleanup.resolve(settings.cleanup, paths, problems),
        server=_server(settings.server, problems),
        kubernetes=kubernetes.resolve(settings.kubernetes, known, paths, problems),
        log=plan.Log(settings.log.level, settings.log.format),
    )


def _refresh(entry: RefreshEntry, problems: Problems) -> plan.Refresh:
    """The rules of renewal. Each renewal must fall within the token's life, also with the latest draw."""
    if not 0 < entry.at_fraction < 1:
        problems.error(("refresh", "at_fraction"), "is no fraction of a life; write one between 0 and 1, e.g. 0.667")
        problems.spoil(("refresh", "at_fraction"))
    if entry.jitter < 0:
        problems.error(("refresh", "jitter"), "is negative; write a fraction of a life, e.g. 0.1")
    elif not problems.is_spoiled(("refresh", "at_fraction")) and not (
        entry.jitter < entry.at_fraction < 1 - entry.jitter
    ):
        # Told of the one that was written, if only one was.
        key = "jitter" if "jitter" in entry.model_fields_set else "at_fraction"
        problems.error(
            ("refresh", key),
            "draws renewals from before a token's life or after its end; write less, so that at_fraction - jitter "
            "is above 0 and at_fraction + jitter below 1",
        )
    faulty = problems.is_spoiled(("refresh", "retry_first")) or problems.is_spoiled(("refresh", "retry_max"))
    if entry.retry_first > entry.retry_max and not faulty:
        problems.error(("refresh", "retry_max"), "is shorter than retry_first; write a longer one")
    return plan.Refresh(**entry.model_dump())


def _server(entry: ServerEntry, problems: Problems) -> plan.Server:
    tls.check_pair(entry.tls_cert, entry.tls_key, ("server",), problems)
    return plan.Server(entry.listen.host, entry.listen.port, entry.tls_cert, entry.tls_key)
