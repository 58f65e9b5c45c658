"""From typed settings to the plan: defaults that depend on the surroundings, and what must fit together.

Not here: how a single value is written. That is in `..schema`.
"""

from ....core import plan
from ..problems import Spot
from ..schema.sections import DockerEntry, RefreshEntry, Settings
from ..surroundings import Surroundings
from . import airflow, cleanup, docker, kubernetes, registries


def resolve(settings: Settings, at: Spot, surroundings: Surroundings, euid: int) -> plan.Plan:
    """Make the plan. It is of use only if no errors are noted then."""
    known = registries.resolve(settings.registries, at / "registries", surroundings)
    dockers, server = settings.docker, settings.server
    unread = any((at / key).is_any_spoiled() for key in ("airflow", "docker", "kubernetes"))
    if not (unread or settings.airflow or settings.docker or settings.kubernetes):
        dockers = [DockerEntry()]  # what `docker login` would do
    (at / "server").check_pair(server, "tls_cert", "tls_key")
    return plan.Plan(
        registries=known.every,
        airflows=airflow.resolve(settings.airflow, at / "airflow", known, surroundings),
        dockers=docker.resolve(dockers, at / "docker", known, surroundings, euid),
        kubernetes=kubernetes.resolve(settings.kubernetes, at / "kubernetes", known, surroundings),
        refresh=_refresh(settings.refresh, at / "refresh"),
        cleanup=cleanup.resolve(settings.cleanup, at / "cleanup", surroundings),
        server=plan.Server(*server.listen, server.tls_cert, server.tls_key),
        log=plan.Log(settings.log.level, settings.log.format),
    )


def _refresh(entry: RefreshEntry, at: Spot) -> plan.Refresh:
    """The rules of renewal. Each renewal must fall within the token's life, also with the latest draw."""
    if not at.is_spoiled("at_fraction", "jitter") and not entry.jitter < entry.at_fraction < 1 - entry.jitter:
        key = "jitter" if "jitter" in entry.model_fields_set else "at_fraction"  # the one that was written
        (at / key).error(
            "lets renewals fall before a token's life or after its end",
            "Keep at_fraction - jitter above 0 and at_fraction + jitter below 1",
        )
    if not at.is_spoiled("retry_first", "retry_max") and entry.retry_first > entry.retry_max:
        (at / "retry_max").error("is shorter than retry_first", "Write a longer one")
    return plan.Refresh(**entry.model_dump())
