"""`check`: tries every leg, and says what is wrong and how to fix it. It changes nothing, anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable

from ... import logs
from ...core import budgets, wire
from ...core.exits import EXIT_USAGE
from ...core.plan import Plan
from ...terminal import Progress
from .. import settings
from ..aws import own_registry
from ..aws.clock import AwsClock
from ..blocking import in_time
from ..doctor.checkup import OWN_REGISTRY, Checkup
from ..doctor.findings import Finding, Row, Verdict, exit_status, failed, of_failure, ok, warning
from ..doctor.legs import airflow, airflow_reader, aws, docker, kubernetes, registry, routes
from ..doctor.trying import try_all
from ..net import engine, proxies
from ..refresh import namespaces
from ..refresh.tools import RealTools
from . import check_table
from .foreground import Result

_LEGS = (routes.legs, aws.legs, registry.legs, airflow.legs, docker.legs, kubernetes.legs)
_READER_LEGS = (airflow_reader.legs, docker.reader_legs)


def run(load: wire.Load, progress: Progress, *, reader: bool = False) -> Result:
    """Try everything that the settings name; as a `reader`, what Airflow and docker on this machine find."""
    with logs.lines_above(progress.clear):
        status, rows = checked(load, progress.show, reader=reader)
    return Result(status, check_table.page(rows), check_table.document(rows, status))


def checked(
    load: wire.Load, say: Callable[[str], None] = lambda _: None, *, reader: bool = False
) -> tuple[int, list[Row]]:
    """Return the exit status and a row for each leg; `say` gets the current step."""
    say("reading the settings")
    proxies.keep_metadata_direct()
    logs.configure("error", "json")  # findings go into the table
    plan, row = _settings(load, reader=reader)
    if plan is None:
        return EXIT_USAGE, [row]
    tools = RealTools(plan, AwsClock(), report=lambda _: None)
    engine.ignore_users_logins()
    rows = [row]
    if plan.unresolved:
        say("asking AWS for the caller's own registry")
        plan, own = _own_registry(tools, reader=reader)
        rows.append(own)
    if not reader and any(entry.namespace_selector for entry in plan.kubernetes):
        say("listing namespaces")
        # The legs say why they could not be listed.
        plan, _ = namespaces.resolved(plan, lambda entry: in_time(budgets.LEG_S, tools.list_namespaces, entry))
        tools.plan = plan
    checkup = Checkup(plan, tools)
    legs = [leg for make in (_READER_LEGS if reader else _LEGS) for leg in make(checkup)]
    rows += try_all(legs, rows, say)
    return exit_status(rows), rows


def _settings(load: wire.Load, *, reader: bool) -> tuple[Plan | None, Row]:
    where = load.config or os.environ.get("ECR_REFRESHER_CONFIG") or "the environment"
    row = ("settings", where, f"read the settings from {where}")
    try:
        # A reader is seldom the user that the daemon runs as, and only root may set owners.
        plan, warnings = settings.load(load, os.environ, euid=0 if reader else None)
    except settings.SettingsError as error:
        return None, Row(*row, tuple(failed(*_parts(line)) for line in error.problems))
    return plan, Row(*row, tuple(warning(*_parts(line)) for line in warnings) or (ok(_summary(plan)),))


def _parts(problem: settings.Problem) -> tuple[str, str]:
    return logs.redact(f"{problem.place}: {problem.what}"), logs.redact(problem.fix)


def _summary(plan: Plan) -> str:
    counts = {
        "registries": len([one for one in plan.registries if one.alias_of is None]),
        "Airflow connections": sum(len(airflow.connections) for airflow in plan.airflows),
        "Docker files": len(plan.dockers),
        "Kubernetes secrets": len(plan.kubernetes),
    }
    return "they name " + ", ".join(f"{what}: {count}" for what, count in counts.items())


def _own_registry(tools: RealTools, *, reader: bool) -> tuple[Plan, Row]:
    """Ask for the caller's own registry where the settings name none: every other leg needs its host."""
    row = (*OWN_REGISTRY, "asked AWS for the caller's own registry")
    if reader:
        found = Finding(Verdict.NOT_TRIED, "a reader needs no AWS credentials", "Name the registry in the settings")
        return tools.plan, Row(*row, (found,))
    hosts, failure = own_registry.find_out(tools.plan, tools.own_host, budgets.CALL_S)
    tools.plan = own_registry.known(tools.plan, hosts)
    return tools.plan, Row(*row, (ok(f"it is {', '.join(hosts.values())}") if not failure else of_failure(failure),))
