"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.gap import Gap
from bench.idle import Idle, Parts
from bench.renewal import Day, Renewals
from bench.scale import Scaled
from tests.testbed.measuring import Cost, exponent

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def put_into(document: str, text: str) -> str:
    """The document with the text between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{text.rstrip()}\n{END}{rest.partition(END)[2]}"


def musts(renewals: Renewals, idle: Idle, day: Day, connections: Scaled, gap: Gap, lines: int) -> str:
    """Show what it may cost, as the design has it, and what was measured."""
    floor = renewals.aws.wall_s if renewals.aws else float("nan")
    near = f"{renewals.start_s / floor:.1f} times ({renewals.start_s:.2f} s; `aws`: {floor:.2f} s)"
    rows: list[Sequence[str]] = [
        ("idle resident memory, all processes", f"{idle.resident_mb:.1f} MB", "36 MB", "32 MB"),
        ("peak of a pass, all processes", f"{renewals.daemon.peak_mb:.0f} MB", "110 MB", "95 MB"),
        ("start to first delivery everywhere, against `aws ecr get-login-password`", near, "2.0 times", "1.4 times"),
        ("… with Airflow 80 ms and AWS 50 ms away", f"{renewals.far_start_s:.2f} s", "2.5 s", "1.8 s"),
        ("30 connections of one Airflow 80 ms away", f"{connections.pass_s:.1f} s, none failed", "6 s", "3 s"),
        ("CPU of a day, health checks of the container included", f"{day.ours_s:.0f} s", "60 s", "20 s"),
        ("… against the cron script's", f"{day.script_s / day.ours_s:.0f} times less", "5", "15"),
        ("time without a valid connection, in a renewal", f"{gap.seconds:.2f} s", "0", "0"),
        ("lines of Python in ecr_refresher/", f"{lines:,}", "15,000", "13,500"),
    ]
    return _section("What it may cost", _table(("figure", "measured", "must", "goal"), rows))


def side_by_side(renewals: Renewals, ours: Gap, scripts: Gap) -> str:
    rows: list[Sequence[str]] = [
        ("`ecr-refresher once`", *_cost(renewals.once)),
        ("a renewal of `ecr-refresher run`", *_cost(renewals.daemon)),
        ("the cron script", *_cost(renewals.script)),
    ]
    if renewals.aws:
        rows.append(("`aws ecr get-login-password`: a token, no delivery", *_cost(renewals.aws)))
    if renewals.helper:
        name = "amazon-ecr-credential-helper (Go), at each pull: a token, no delivery"
        rows.append((name, *_cost(renewals.helper)))
    gaps: list[Sequence[str]] = [
        ("ecr-refresher", f"{ours.seconds:.2f} s", f"{ours.misses} of {ours.reads}"),
        ("the cron script", f"{scripts.seconds:.2f} s", f"{scripts.misses} of {scripts.reads}"),
    ]
    return _section(
        "One renewal, side by side",
        _table(("", "wall", "CPU", "peak memory"), rows),
        _table(("a reader of the connection meanwhile", "without it", "reads that found none"), gaps),
    )


def a_day(day: Day) -> str:
    rows: list[Sequence[str]] = [
        (f"{day.RENEWALS} renewals", f"{day.renewal_s:.1f} s"),
        ("a look after each of them", f"{day.look_s:.1f} s"),
        (f"{day.VERIFICATIONS} verifications", f"{day.verification_s:.1f} s"),
        (f"{day.SCRAPES:,} scrapes", f"{day.scrape_s:.1f} s"),
        (f"{day.health_checks:,} health checks of the container", f"{day.health_s:.1f} s"),
        ("idle", f"{day.idle_s:.1f} s"),
        ("**ecr-refresher**", f"**{day.ours_s:.1f} s**"),
        (f"the cron script, {day.CRON_RUNS} runs", f"{day.script_s:.0f} s"),
    ]
    return _section("CPU of a day, added up from its parts", _table(("", "CPU"), rows))


def at_rest(idle: Idle, parts: Parts) -> str:
    rows: list[Sequence[str]] = [
        ("resident memory", f"{idle.resident_mb:.1f} MB"),
        ("private dirty memory", f"{idle.dirty_mb:.1f} MB"),
        ("wake-ups", f"{idle.wakeups_per_minute:.1f} a minute"),
        ("CPU", f"{idle.cpu_per_minute_s * 1000:.1f} ms a minute"),
        ("threads", str(idle.threads)),
        ("file descriptors", str(idle.descriptors)),
        (f"a scrape of {parts.series} series, CPU", f"{parts.scrape_s * 1000:.2f} ms"),
        ("from SIGTERM to the end", f"{idle.end_s * 1000:.0f} ms"),
    ]
    return _section("At rest: one process", _table(("", "measured"), rows))


def growth(
    registries: Mapping[int, Scaled],
    connections: Mapping[int, Scaled],
    writes: Mapping[int, float],
) -> str:
    by_registry: list[Sequence[str]] = [
        (f"{n:,}", f"{one.pass_s:.2f} s", f"{one.cpu_s / n * 1000:.1f} ms", f"{one.peak_mb:.0f} MB")
        for n, one in registries.items()
    ]
    by_registry.append(
        ("total grows with", *_growth([registries, "pass_s"], [registries, "cpu_s"], [registries, "peak_mb"]))
    )
    by_connection: list[Sequence[str]] = [
        (f"{n:,}", f"{one.pass_s:.2f} s", f"{one.cpu_s:.2f} s", f"{one.peak_mb:.0f} MB")
        for n, one in connections.items()
    ]
    by_connection.append(
        ("grows with", *_growth([connections, "pass_s"], [connections, "cpu_s"], [connections, "peak_mb"]))
    )
    by_client: list[Sequence[str]] = [(f"{n:,}", f"{count:.2f}") for n, count in writes.items()]
    by_client.append(("grows with", f"n^{exponent(writes):.2f}"))
    return _section(
        "Growth",
        "Registries of as many roles, AWS 20 ms away, one config.json; `once` from start to end:\n",
        _table(("registries", "pass", "CPU per token", "peak memory"), by_registry),
        "Connections of one real Airflow, one token; `once` from start to end:\n",
        _table(("connections", "wall", "CPU", "peak memory"), by_connection),
        "Clients of one connection, simulated for a year:\n",
        _table(("clients", "writes per renewal"), by_client),
    )


def _growth(*columns: Sequence[object]) -> Iterable[str]:
    for points, name in columns:
        assert isinstance(points, dict)
        yield f"n^{exponent({n: getattr(point, str(name)) for n, point in points.items()}):.2f}"


def _cost(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.wall_s:.2f} s", f"{cost.cpu_s:.2f} s", f"{cost.peak_mb:.0f} MB"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _section(title: str, *texts: str) -> str:
    return f"### {title}\n\n" + "\n".join(texts)
