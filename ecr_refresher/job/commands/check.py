"""`check`: tries every leg, and says what is wrong and how to fix it. It changes nothing, anywhere."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from ... import logs
from ...core import budgets, wire
from ...core.exits import EXIT_USAGE
from ...core.plan import Plan
from ...terminal import BAD, BOLD, DIM, GOOD, WARNING, Block, Progress, Table, Words
from .. import settings
from ..aws import own_registry
from ..aws.clock import AwsClock
from ..blocking import in_time
from ..doctor.checkup import OWN_REGISTRY, Checkup
from ..doctor.findings import Finding, Row, Verdict, exit_status, failed, of_failure, ok, redacted, warning
from ..doctor.legs import airflow, airflow_reader, aws, docker, kubernetes, registry, routes
from ..doctor.trying import try_all
from ..net import engine, proxies
from ..refresh import namespaces
from ..refresh.tools import RealTools
from .foreground import Result

_LEGS = (routes.legs, aws.legs, registry.legs, airflow.legs, docker.legs, kubernetes.legs)
_READER_LEGS = (airflow_reader.legs, docker.legs)
_SHOWN: dict[Verdict, tuple[str, str]] = {
    Verdict.OK: ("ok", GOOD),
    Verdict.WARNING: ("warning", WARNING),
    Verdict.FAILED: ("FAILED", BAD),
    Verdict.NOT_TRIED: ("not tried", DIM),
}


def run(load: wire.Load, progress: Progress, *, reader: bool = False) -> Result:
    """Try everything that the settings name; as a `reader`, what Airflow and docker on this machine find."""
    status, rows = checked(load, progress.show, reader=reader)
    return Result(status, page(rows), document(rows, status))


def checked(
    load: wire.Load, say: Callable[[str], None] = lambda _: None, *, reader: bool = False
) -> tuple[int, list[Row]]:
    """Return the exit status and a row for each leg; `say` gets the current step."""
    say("reading the settings")
    proxies.keep_metadata_direct()
    logs.configure("error", "json")  # findings go into the table
    where = load.config or os.environ.get("ECR_REFRESHER_CONFIG") or "the environment"
    row = ("settings", where, f"read the settings from {where}")
    try:
        # A reader is seldom the user that the daemon runs as, and only root may set owners.
        loaded = settings.load(load, os.environ, euid=0 if reader else None)
    except settings.SettingsError as error:
        return EXIT_USAGE, [Row(*row, tuple(failed(f"{one.place}: {one.what}", one.fix) for one in error.problems))]
    plan = loaded.plan
    warnings = tuple(warning(f"{one.place}: {one.what}", one.fix) for one in loaded.warnings)
    rows = [Row(*row, warnings or (ok(_summary_of(plan)),))]
    tools = RealTools(plan, AwsClock(), report=lambda _: None)
    engine.ignore_users_logins()
    if plan.unresolved:
        say("asking AWS for the caller's own registry")
        rows.append(Row(*OWN_REGISTRY, "asked AWS for the caller's own registry", (_own_registry(tools, reader),)))
    if not reader and any(entry.namespace_selector for entry in plan.kubernetes):
        say("listing namespaces")
        # The legs say why they could not be listed.
        tools.plan, _ = namespaces.resolved(tools.plan, partial(in_time, budgets.LEG_S, tools.list_namespaces))
    checkup = Checkup(tools.plan, tools, reader=reader)
    legs = [leg for make in (_READER_LEGS if reader else _LEGS) for leg in make(checkup)]
    rows += try_all(legs, rows, say)
    return exit_status(rows), rows


def _summary_of(plan: Plan) -> str:
    counts = {
        "registries": len([one for one in plan.registries if one.alias_of is None]),
        "Airflow connections": sum(len(airflow.connections) for airflow in plan.airflows),
        "Docker files": len(plan.dockers),
        "Kubernetes secrets": len(plan.kubernetes),
    }
    return "they name " + ", ".join(f"{what}: {count}" for what, count in counts.items())


def _own_registry(tools: RealTools, reader: bool) -> Finding:
    """Ask for the caller's own registry where the settings name none: every other leg needs its host."""
    if reader:
        return Finding(Verdict.NOT_TRIED, "a reader needs no AWS credentials", "Name the registry in the settings")
    hosts, failure = own_registry.find_out(tools.plan, tools.own_host, budgets.CALL_S)
    tools.plan = own_registry.known(tools.plan, hosts)
    return of_failure(failure) if failure else ok(f"it is {', '.join(hosts.values())}")


# --- the result -------------------------------------------------------------------------------------------------------
def page(rows: Sequence[Row]) -> list[Block]:
    """One row a leg: its verdict, what was tried, and below that each finding with its fix."""
    cells: list[tuple[Words, Words, Words]] = []
    for row in map(redacted, rows):
        first, *more = _paragraphs(row)
        cells += [(_SHOWN[row.verdict], row.leg, first), *(("", "", words) for words in more)]
    counted = _counted(rows)
    summary = ", ".join(f"{counted[verdict]} {word}" for verdict, (word, _) in _SHOWN.items() if counted[verdict])
    return [Table(cells, ("STATUS", "LEG", "WHAT WAS TRIED, AND FOUND"), wrapped_at=100), "", summary]


def document(rows: Sequence[Row], status: int) -> dict[str, Any]:
    """The same for machines: `legs` in the table's order, each with its findings."""
    legs = [{**asdict(row), "verdict": row.verdict} for row in map(redacted, rows)]
    return {"status": status, "counts": _counted(rows), "legs": legs}


def _counted(rows: Sequence[Row]) -> dict[Verdict, int]:
    return {**dict.fromkeys(Verdict, 0), **Counter(row.verdict for row in rows)}


def _paragraphs(row: Row) -> Iterator[Words]:
    """One line where all is well; else a line for each finding and each fix."""
    if len(row.findings) == 1 and row.verdict is Verdict.OK:
        yield f"{row.tried}: {row.findings[0].text}"
        return
    yield row.tried
    for finding in row.findings:
        differs = finding.verdict is not row.verdict and len(row.findings) > 1
        yield _sentence(f"{_SHOWN[finding.verdict][0]}: {finding.text}" if differs else finding.text)
        if finding.fix is not None:
            yield [("Fix:", BOLD), _sentence(f" {finding.fix}")]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
