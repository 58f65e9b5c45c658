"""The whole plan from typed settings."""

from __future__ import annotations

from ....core import plan
from ..problems import Place, Problems
from ..schema.sections import DockerEntry, RefreshEntry, ServerEntry, Settings
from ..surroundings import Surroundings
from . import airflow, cleanup, docker, kubernetes, registries
from .engine import check_pair


def resolve(settings: Settings, surroundings: Surroundings, problems: Problems, euid: int) -> plan.Plan:
    """Make the plan. It is of use only if `problems` has no errors then."""
    known = registries.resolve(settings.registries, surroundings, problems)
    dockers = settings.docker
    sinks = settings.airflow or settings.docker or settings.kubernetes
    if not sinks and not problems.is_spoiled(("airflow",), ("docker",), ("kubernetes",)):
        dockers = [DockerEntry()]  # what `docker login` would do
    return plan.Plan(
        registries=known.every,
        airflows=airflow.resolve(settings.airflow, known, surroundings, problems),
        dockers=docker.resolve(dockers, known, surroundings, problems, euid),
        kubernetes=kubernetes.resolve(settings.kubernetes, known, surroundings, problems),
        refresh=_refresh(settings.refresh, problems),
        cleanup=cleanup.resolve(settings.cleanup, surroundings, problems),
        server=_server(settings.server, problems),
        log=plan.Log(settings.log.level, settings.log.format),
    )


def _refresh(entry: RefreshEntry, problems: Problems) -> plan.Refresh:
    """The rules of renewal. Each renewal must fall within the token's life, also with the latest draw."""
    place: Place = ("refresh",)
    fractions = not problems.is_spoiled((*place, "at_fraction"), (*place, "jitter"))
    if fractions and not entry.jitter < entry.at_fraction < 1 - entry.jitter:
        key = "jitter" if "jitter" in entry.model_fields_set else "at_fraction"  # the one that was written
        problems.error(
            (*place, key),
            "lets renewals fall before a token's life or after its end",
            "Keep at_fraction - jitter above 0 and at_fraction + jitter below 1",
        )
    pauses = not problems.is_spoiled((*place, "retry_first"), (*place, "retry_max"))
    if pauses and entry.retry_first > entry.retry_max:
        problems.error((*place, "retry_max"), "is shorter than retry_first", "Write a longer one")
    return plan.Refresh(**entry.model_dump())


def _server(entry: ServerEntry, problems: Problems) -> plan.Server:
    check_pair(entry.tls_cert, entry.tls_key, ("server",), problems)
    return plan.Server(entry.listen.host, entry.listen.port, entry.tls_cert, entry.tls_key)
