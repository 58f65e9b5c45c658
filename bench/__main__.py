"""The benchmarks: ours beside what people use today, in one run, as Markdown. `make bench`, on a quiet machine.

Airflow, engine and registry are real, AWS is a stand-in. Needs root on Debian and `make prepare`.
"""

from __future__ import annotations

import argparse
import os
import platform as machine
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import gap, idle, renewal, report, scale, world
from tests.testbed import parts

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="how often each thing is measured (default: 7)")
    parser.add_argument("--idle", type=float, default=180, metavar="SECONDS", help="how long to watch the idle daemon")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{DOCUMENT.name}")
    given = parser.parse_args()
    try:
        text = tables(given.runs, given.idle)
    except parts.Missing as missing:
        print(f"these benchmarks need real parts; {missing}", file=sys.stderr)
        return 1
    print(text)
    if given.write:
        DOCUMENT.write_text(report.put_into(DOCUMENT.read_text(), text))
    return 0


def tables(runs: int, idle_s: float) -> str:
    few = min(runs, 3)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, world.world(Path(name)) as made:
        renewals = renewal.renewals(made, runs)
        ours, scripts = gap.gaps(made, few)
        resting = idle.idle(made, idle_s)
        parts_of_a_day = idle.daily_parts(made, few)
        with made.far() as far:
            far_connections = scale.of_connections(far, scale.FAR_CONNECTIONS, few)
        connections = {count: scale.of_connections(made, count, few) for count in scale.CONNECTIONS}
    registries = {count: scale.of_registries(count, few) for count in scale.REGISTRIES}
    writes = {count: scale.writes_per_renewal(count) for count in scale.CLIENTS}
    a_day = renewal.day(renewals.daemon.cpu_s, renewals.script.cpu_s, parts_of_a_day, resting.cpu_per_minute_s)
    sections = (
        f"{_machine()}; medians of {runs}.\n",
        report.musts(renewals, resting, a_day, far_connections, ours, lines_of_python()),
        report.side_by_side(renewals, ours, scripts),
        report.a_day(a_day),
        report.at_rest(resting, parts_of_a_day),
        report.growth(registries, connections, writes),
    )
    return "\n".join(sections)


def lines_of_python() -> int:
    """Count the lines of the package."""
    package = parts.REPOSITORY / "ecr_refresher"
    return sum(len(path.read_text().splitlines()) for path in package.rglob("*.py"))


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), machine.machine())
    git = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no commit"
    return (
        f"Measured at {commit} on {os.cpu_count()} cores of {model}, Linux {machine.release()}, "
        f"Python {machine.python_version()}, load {os.getloadavg()[2]:.1f} at the end; Airflow 3.3.2, engine 20.10"
    )


if __name__ == "__main__":
    sys.exit(main())
