"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.gap import Gap
from bench.idle import Idle, Scrapes
from bench.renewal import Day, Renewals
from bench.scale import Scaled
from tests.testbed.measuring import Cost, exponent

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def put_into(document: str, text: str) -> str:
    """The document with the text between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{text.rstrip()}\n{END}{rest.partition(END)[2]}"


def musts(
    renewals: Renewals,
    idle: Idle,
    day: Day,
    platform: Scaled,
    thousand: Scaled,
    scrapes: Scrapes,
    spaced: Scrapes,
) -> str:
    """The figures that were promised, and the goals beyond."""
    script, ours = renewals.script, renewals.daemon
    floor = renewals.aws.wall_s if renewals.aws else float("nan")
    rows: list[Sequence[str]] = [
        ("idle resident memory, all processes", f"{idle.resident_mb:.1f} MB", "30 MB", "16 MB"),
        ("idle private dirty memory", f"{idle.dirty_mb:.1f} MB", "18 MB", "9 MB"),
        ("peak memory of a pass, all processes", f"{ours.peak_mb:.0f} MB", "120 MB", "75 MB"),
        ("start to first delivery everywhere", f"{renewals.start_s:.2f} s", "1.5 s", f"0.45 s; `aws`: {floor:.2f} s"),
        ("… times quicker than the script", f"{script.wall_s / renewals.start_s:.0f}", "8", ""),
        ("CPU of one renewal", f"{ours.cpu_s:.2f} s", "1.5 s", "0.35 s"),
        ("… times less than the script", f"{script.cpu_s / ours.cpu_s:.0f}", "8", ""),
        ("CPU a day", f"{day.ours_s:.1f} s", "45 s", "8 s"),
        ("… times less than the script", f"{day.script_s / day.ours_s:.0f}", "15", ""),
        ("wake-ups, idle", f"{idle.wakeups_per_minute:.1f} a minute", "3 a minute", "1 a minute"),
        (f"scrape of {scrapes.series} series, CPU", f"{scrapes.cpu_ms:.2f} ms", "1 ms", "0.1 ms"),
        (f"… of {spaced.series} series, one in a while", f"{spaced.cpu_ms:.2f} ms", "", ""),
        ("100 registries, 10 roles, 4 regions, 20 ms, 5 % throttled", f"{platform.pass_s:.1f} s", "3 s", ""),
        ("… its peak memory", f"{platform.peak_mb:.0f} MB", "130 MB", ""),
        ("1,000 tokens, 20 ms latency", f"{thousand.pass_s:.1f} s", "3 s", "1.5 s"),
    ]
    return _section("What was promised", _table(("figure", "measured", "must", "goal"), rows))


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
        ("idle", f"{day.idle_s:.1f} s"),
        ("**ecr-refresher**", f"**{day.ours_s:.1f} s**"),
        (f"the cron script, {day.CRON_RUNS} runs", f"{day.script_s:.0f} s"),
    ]
    return _section("CPU of a day, summed up from its parts", _table(("", "CPU"), rows))


def at_rest(idle: Idle) -> str:
    rows: list[Sequence[str]] = [
        ("resident memory", f"{idle.resident_mb:.1f} MB"),
        ("private dirty memory", f"{idle.dirty_mb:.1f} MB"),
        ("wake-ups", f"{idle.wakeups_per_minute:.1f} a minute"),
        ("CPU", f"{idle.cpu_per_minute_s * 1000:.1f} ms a minute"),
        ("threads", str(idle.threads)),
        ("file descriptors", str(idle.descriptors)),
        ("from SIGTERM to the end", f"{idle.end_s * 1000:.0f} ms"),
    ]
    return _section("At rest: one process", _table(("", "measured"), rows))


def growth(
    registries: Mapping[int, Scaled],
    connections: Mapping[int, Scaled],
    writes: Mapping[int, float],
    sinks: Mapping[int, tuple[Scrapes, Scrapes]],
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
    by_sink: list[Sequence[str]] = [
        (f"{n:,}", f"{rest.series:,}", *(f"{ms:.2f} ms" for ms in (rest.latency_ms, rest.cpu_ms, busy.latency_ms)))
        for n, (rest, busy) in sinks.items()
    ]
    rest = {n: pair[0] for n, pair in sinks.items()}
    busy = {n: pair[1] for n, pair in sinks.items()}
    by_sink.append(("grows with", "", *_growth([rest, "latency_ms"], [rest, "cpu_ms"], [busy, "latency_ms"])))
    return _section(
        "Growth",
        "Registries of as many roles, AWS 20 ms away, one config.json; `once` from start to end:\n",
        _table(("registries", "pass", "CPU per token", "peak memory"), by_registry),
        "Connections of one real Airflow, one token; `once` from start to end:\n",
        _table(("connections", "wall", "CPU", "peak memory"), by_connection),
        "Clients of one connection, simulated for a year:\n",
        _table(("clients", "writes per renewal"), by_client),
        "Scrapes of `/metrics`; the last column while a pass goes on:\n",
        _table(("sinks", "series", "latency", "CPU", "latency in a pass"), by_sink),
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
