"""Loads the settings where the job says so, then does the pass: the one road of `run` and `once`."""

import asyncio
import os

from msgspec.structs import replace

from ... import logs
from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from ...core.model import witness_of
from ...core.plan import Plan
from ..aws import own_registry
from ..aws.clock import AwsClock
from ..blocking import in_time
from ..limits import set_alarm
from ..net import engine, proxies
from . import namespaces
from .refresh_pass import RefreshPass
from .tools import RealTools


def execute(job: wire.Job, report: wire.Report) -> int:
    """Do the job; returns the exit status. The pass ends within the job's limit and `refresh.deadline`."""
    began = boot_time()
    proxies.keep_metadata_direct()
    clock = AwsClock(job.clock_offset, on_change=lambda offset, skew: report(wire.Clock(offset, skew)))
    plan, unresolved = job.plan, None
    if job.load is not None:
        plan = _load(job.load, report)
        if plan is None:
            return EXIT_USAGE
        plan = own_registry.known(plan, job.own_hosts)
        job = replace(job, ends_at=min(job.ends_at, began + plan.refresh.deadline))
    if plan is None:
        raise ValueError("a job has neither a plan nor the order to load one")
    set_alarm(job.ends_at - boot_time() + budgets.ALARM_GRACE_S)
    logs.configure(plan.log.level, plan.log.format)
    tools = RealTools(plan, clock, report, job.ends_at)
    engine.ignore_users_logins()
    if job.load is not None:
        witness = _settings_witness(plan)
        report(wire.Planned(plan, witness))
        if plan.unresolved:  # the plan is reported before: a daemon answers its probes while AWS does not answer
            hosts, unresolved = own_registry.find_out(plan, tools.own_host, _call_s(job))
            if unresolved is not None:
                logs.get().error("own_registry_unknown", **unresolved.fields)
            plan = tools.plan = own_registry.known(plan, hosts)
            report(wire.Planned(plan, witness, hosts))
    if namespaces.wanted(job, plan):
        before = plan
        ends_at = boot_time() + min(_call_s(job), budgets.NAMESPACES_S)
        plan, tools.unlisted = namespaces.resolved(
            before, lambda entry: in_time(max(0.1, ends_at - boot_time()), tools.list_namespaces, entry)
        )
        if plan != before:
            tools.plan = plan
            report(wire.Planned(plan))
        job = namespaces.with_orders(job, before, plan)
    began = boot_time()
    asyncio.run(RefreshPass(job, plan, tools, unresolved).run())
    logs.get().info("pass_finished", duration_s=round(boot_time() - began, 3))
    return EXIT_DONE


def _load(source: wire.Load, report: wire.Report) -> Plan | None:
    """Read the settings; every error is reported, and then there is no plan."""
    from .. import settings

    logs.configure(source.log_level or "info", source.log_format or "json")
    try:
        loaded = settings.load(source, os.environ)
    except settings.SettingsError as error:
        report(wire.Refused(tuple(logs.redact(line) for line in error.errors)))
        return None
    logs.configure(loaded.plan.log.level, loaded.plan.log.format)
    for warning in loaded.warnings:
        logs.get().warning("settings_warning", error=f"{warning.place}: {warning.what}", fix=warning.fix)
    return loaded.plan


def _call_s(job: wire.Job) -> float:
    """The seconds that the calls before the pass itself may take."""
    return min(budgets.CALL_S, job.ends_at - boot_time() - budgets.MARGIN_S)


def _settings_witness(plan: Plan) -> str | None:
    if plan.settings_file is None:
        return None
    try:
        return witness_of(os.stat(plan.settings_file))
    except OSError:
        return witness_of(None)
