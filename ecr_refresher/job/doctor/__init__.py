"""`ecr-refresher check`: tries every leg and says what is wrong and how to mend it. It changes nothing, anywhere.

It is made of the looks and proofs of a pass. The pure parts are `findings`, `holding`, `connection` and `report`; the
`*_legs` say what is tried and what stands on what; `legs` tries them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ... import logs
from ...core import wire
from ...core.exits import EXIT_USAGE
from ...core.plan import Plan
from .. import settings
from ..aws import own_registry
from ..aws.clock import AwsClock
from ..commands import check_table as report
from ..net import proxies
from ..refresh.tools import RealTools
from .findings import Finding, Row, Verdict, exit_status, failed, of_failure, ok, warning
from .legs import airflow as airflow_legs
from .legs import aws as aws_legs
from .legs import backends as backend_legs
from .legs import docker as docker_legs
from .legs import readers as reader_legs
from .legs import registry as registry_legs
from .legs import routes
from .scene import OWN_REGISTRY, Scene
from .trying import Leg, try_all


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it: the exit status, and the rows in both forms."""

    status: int
    rows: Sequence[Row]

    def table(self, paint: Callable[[str, str], str]) -> str:
        return report.table(self.rows, paint)

    def json(self) -> str:
        return report.json_text(self.rows, self.status)


def run(load: wire.Load, *, reader: bool = False) -> Checked:
    """Try everything that the settings name; as a `reader`, what this machine's Airflow and docker would find."""
    proxies.keep_metadata_direct()
    logs.configure("error", "json")  # what is found goes into the table
    plan, row = _settings(load, reader=reader)
    if plan is None:
        return Checked(EXIT_USAGE, [row])
    tools = RealTools(plan, AwsClock(), report=lambda _: None)
    rows = [row]
    if plan.unresolved:
        plan, own = _own_registry(tools, reader=reader)
        rows.append(own)
    rows += try_all(_legs(Scene(plan, tools), reader=reader), rows)
    return Checked(exit_status(rows), rows)


def _legs(scene: Scene, *, reader: bool) -> Sequence[Leg]:
    if reader:
        return list(reader_legs.legs(scene))
    return [
        *routes.legs(scene),
        *aws_legs.legs(scene),
        *registry_legs.legs(scene),
        *airflow_legs.legs(scene),
        *backend_legs.legs(scene),
        *docker_legs.legs(scene),
    ]


def _settings(load: wire.Load, *, reader: bool) -> tuple[Plan | None, Row]:
    where = load.config or os.environ.get("ECR_REFRESHER_CONFIG") or "the environment"
    row = ("settings", where, f"read the settings from {where}")
    try:
        # A reader is seldom the user that the daemon runs as, whose settings these are: root may set owners.
        plan, warnings = settings.load(load, os.environ, euid=0 if reader else None)
    except settings.SettingsError as error:
        found = [
            failed(what, mend or "see docs/settings.md")
            for what, _, mend in (logs.redact(line).partition("; ") for line in error.errors)
        ]
        return None, Row(*row, tuple(found))
    noted = [
        warning(what, mend or "see docs/settings.md")
        for what, _, mend in (logs.redact(line).partition("; ") for line in warnings)
    ]
    return plan, Row(*row, tuple(noted) or (ok(_summary(plan)),))


def _summary(plan: Plan) -> str:
    counts = {
        "registries": len([one for one in plan.registries if one.alias_of is None]),
        "Airflow connections": sum(len(airflow.connections) for airflow in plan.airflows),
        "Docker files": len(plan.dockers),
    }
    return "they name " + ", ".join(f"{what}: {count}" for what, count in counts.items())


def _own_registry(tools: RealTools, *, reader: bool) -> tuple[Plan, Row]:
    """The caller's own registry, where the settings name none: all else needs its host."""
    row = (*OWN_REGISTRY, "asked AWS for the caller's own registry")
    if reader:
        found = Finding(Verdict.NOT_TRIED, "a reader needs no AWS credentials", "name the registry in the settings")
        return tools.plan, Row(*row, (found,))
    from ..aws import ecr

    hosts, failure = own_registry.find_out(tools.plan, lambda principal: ecr.own_host(tools.aws(), principal))
    tools.plan = own_registry.known(tools.plan, hosts)
    return tools.plan, Row(*row, (ok(f"it is {', '.join(hosts.values())}") if not failure else of_failure(failure),))


__all__ = ["Checked", "Verdict", "run"]
