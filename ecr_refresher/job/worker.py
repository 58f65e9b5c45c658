"""The worker process: one job on standard input, report lines on standard output, then the end.

The supervisor may be killed: an alarm a little past the job's own limit sees to it that no orphan lives on, and no
credential helper that it has started either.
"""

from __future__ import annotations

import asyncio
import faulthandler
import math
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from .. import logs
from ..boot_clock import boot_time
from ..core import wire
from ..core.exits import EXIT_DONE, EXIT_USAGE
from ..core.model import Failure, witness_of
from ..core.plan import Plan
from .aws import own_registry
from .aws.clock import AwsClock
from .net import proxies
from .refresh import namespaces
from .refresh.refresh_pass import RefreshPass
from .refresh.tools import RealTools

ALARM_GRACE_S = 5.0
DATA_MAX = 2 << 30  # a pass over 1,000 registries with 250 roles and 2,000 slots takes 0.7 GiB, 0.5 of it stacks
STACK_MAX = 4 << 20
CLEANUP_GRACE_S = 90.0  # before a cleanup's limit nothing new is begun: one removal may take a minute
EXIT_ORPHANED = 3
Report = Callable[[wire.Line], None]


def serve() -> int:
    """Do the job on standard input. The exit status is for people: `done` on standard output is the success."""
    bound_memory()
    order = _read_all(0)
    if not order:  # started early, and then not needed: its supervisor has ended
        return EXIT_ORPHANED
    job = wire.load_job(order)
    if job.kind == "listen":
        from .cleanup.usage import listener

        pipe = os.dup(1)
        listener.serve(job, _reporter(job.id), pipe, end_orphaned)
    set_alarm(job.ends_at - boot_time() + ALARM_GRACE_S)
    report = _reporter(job.id)
    status = _clean(job, report) if job.kind == "cleanup" else execute(job, report)
    report(wire.Done())
    return status


def set_alarm(seconds: float) -> None:
    """End as an orphan then; a little later even if the interpreter itself is stuck and can't."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: end_orphaned())
    signal.alarm(max(1, math.ceil(seconds)))
    faulthandler.dump_traceback_later(max(1.0, seconds) + ALARM_GRACE_S, exit=True, file=os.open(os.devnull, os.O_RDWR))


def end_orphaned() -> NoReturn:
    """The supervisor is gone, and with it the order to do anything: end, with all that was started."""
    if os.getpgrp() == os.getpid():  # as the supervisor has it
        os.killpg(0, signal.SIGKILL)
    os._exit(EXIT_ORPHANED)


def bound_memory() -> None:
    """Let a leak end in a MemoryError of ours, and not in the host's memory."""
    # Stacks of threads count as data. By default they are as large as `ulimit -s`, which may be anything.
    threading.stack_size(STACK_MAX)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = DATA_MAX if hard == resource.RLIM_INFINITY else min(hard, DATA_MAX)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def execute(job: wire.Job, report: Report) -> int:
    """Load the settings where asked, then do the pass: the one road of `run` and `once`."""
    proxies.keep_metadata_direct()
    clock = AwsClock(job.clock_offset, on_change=lambda offset, skew: report(wire.Clock(offset, skew)))
    plan, unresolved = job.plan, None
    if job.load is not None:
        plan = _load(job.load, report)
        if plan is None:
            return EXIT_USAGE
    if plan is None:
        raise ValueError("a job needs a plan, or the order to load one")
    logs.configure(plan.log.level, plan.log.format)
    ends_at = min(job.ends_at, boot_time() + plan.refresh.deadline)
    tools = RealTools(plan, clock, report, ends_at)
    if job.load is not None:
        plan = tools.plan = own_registry.known(plan, job.own_hosts)
        witness = _settings_witness(plan)
        report(wire.Planned(plan, witness))
        if plan.unresolved:  # told before AWS is asked: a daemon answers its probes while AWS does not answer
            plan, own_hosts, unresolved = _resolve(tools)
            report(wire.Planned(plan, witness, own_hosts))
    if namespaces.wanted(job, plan):
        job, plan = _with_namespaces(job, plan, tools)
    _refresh(job, plan, tools, unresolved)
    return EXIT_DONE


def _with_namespaces(job: wire.Job, plan: Plan, tools: RealTools) -> tuple[wire.Job, Plan]:
    """Ask which namespaces a selector stands for now, and report a plan that has changed by it."""
    tools.plan, tools.unlisted = namespaces.resolved(plan, tools.list_namespaces)
    if tools.plan != plan:
        tools.report(wire.Planned(tools.plan))
    return namespaces.with_orders(job, plan, tools.plan), tools.plan


def _clean(job: wire.Job, report: Report) -> int:
    from .cleanup.run import clean

    if job.plan is None:
        raise ValueError("a cleanup needs a plan")
    logs.configure(job.plan.log.level, job.plan.log.format)
    clean(
        job.plan,
        job.valid_hosts,
        AwsClock(job.clock_offset),
        report,
        lambda _registry: None,
        heard=job.heard,
        dry_run=job.dry_run,
        ends_at=job.ends_at - CLEANUP_GRACE_S,
    )
    return EXIT_DONE


def _load(source: wire.Load, report: Report) -> Plan | None:
    """Read the settings; every error is reported, and then there is no plan."""
    from . import settings

    logs.configure(source.log_level or "info", source.log_format or "json")
    try:
        plan, warnings = settings.load(source, os.environ)
    except settings.SettingsError as error:
        report(wire.Refused(tuple(logs.redact(line) for line in error.errors)))
        return None
    logs.configure(plan.log.level, plan.log.format)
    for warning in warnings:
        logs.get().warning("settings_warning", error=warning)
    return plan


def _resolve(tools: RealTools) -> tuple[Plan, dict[str, str], Failure | None]:
    from .aws import ecr

    hosts, failure = own_registry.find_out(tools.plan, lambda principal: ecr.own_host(tools.aws(), principal))
    if failure is not None:
        logs.get().error("own_registry_unknown", reason=failure.reason, error=failure.message)
    tools.plan = own_registry.known(tools.plan, hosts)
    return tools.plan, hosts, failure


def _refresh(job: wire.Job, plan: Plan, tools: RealTools, unresolved: Failure | None) -> None:
    began = time.monotonic()
    asyncio.run(RefreshPass(job, plan, tools, unresolved).run())
    logs.get().info("pass_finished", duration_s=round(time.monotonic() - began, 3))


def _settings_witness(plan: Plan) -> str | None:
    if plan.settings_file is None:
        return None
    try:
        return witness_of(os.stat(plan.settings_file))
    except OSError:
        return witness_of(None)


def _reporter(job_id: int) -> Report:
    """Write whole lines to what is standard output now; a stray print shall go elsewhere."""
    lines = os.dup(1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def report(line: wire.Line) -> None:
        text = wire.dump_line(job_id, line)
        with lock:
            try:
                while text:
                    text = text[os.write(lines, text) :]
            except BrokenPipeError:
                end_orphaned()

    return report


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read()
