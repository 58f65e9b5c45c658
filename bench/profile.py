"""Where a pass spends its time and memory: `make profile`. Stand-ins on this machine; one Airflow, one config.json.

Imports by Python's own `-X importtime`; CPU by function over all threads by yappi; memory by package by tracemalloc.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ecr_refresher.standins.tokens import TokenBook
from tests.testbed.daemon import PRODUCT, clean_environment
from tests.testbed.registry import HOST
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront

SHOWN = 25
_PASS = """
import sys
from ecr_refresher.core import wire
{before}
from ecr_refresher.boot_clock import boot_time
from ecr_refresher.job.worker import execute
load = wire.Load(sys.argv[1], "error", None)
status = execute(wire.Job(1, boot_time() + 60, load=load, force=True), lambda line: None)
assert status == 0
{after}
"""
_CPU = (
    "import yappi; yappi.set_clock_type('cpu'); yappi.start()",
    (
        "yappi.stop(); yappi.get_func_stats().sort('tsub').print_all(columns={0: ('name', 90), 1: ('ncall', 9), "
        "2: ('tsub', 8), 3: ('ttot', 8)})"
    ),
)
_MEMORY = (
    "import tracemalloc; tracemalloc.start()",
    (
        "import collections, re\n"
        "sizes = collections.Counter()\n"
        "for trace in tracemalloc.take_snapshot().statistics('filename'):\n"
        "    name = trace.traceback[0].filename\n"
        "    sizes[re.sub(r'.*/(site-packages|python[0-9.]+)/', '', name).split('/')[0]] += trace.size\n"
        "for name, size in sizes.most_common(25): print(f'{size / 2**20:8.2f} MB  {name}')\n"
        "print(f'{tracemalloc.get_traced_memory()[1] / 2**20:8.2f} MB  at the peak')"
    ),
)


def main() -> None:
    with _world() as (settings, environment):
        importing = [PRODUCT[0], "-X", "importtime", *PRODUCT[1:], "once", "--force", "--config", str(settings)]
        _print("Imports, milliseconds with all that they import", _imports(_run(importing, environment).stderr))
        for title, (before, after) in {
            "CPU seconds by function, all threads (tsub: in itself)": _CPU,
            "Memory that is in use when the pass has ended, by package": _MEMORY,
        }.items():
            script = _PASS.format(before=before, after=after)
            done = _run([sys.executable, "-c", script, str(settings)], environment)
            _print(title, [line for line in done.stdout.splitlines() if line.strip()][: SHOWN + 4])


@contextmanager
def _world() -> Iterator[tuple[Path, dict[str, str]]]:
    book, password = TokenBook(), "the-password-of-a-profile"
    with (
        tempfile.TemporaryDirectory(prefix="profile-") as name,
        EcrStandIn(book) as ecr,
        AirflowStandIn("bench", password) as airflow,
        RegistryFront(book) as front,
    ):
        directory = Path(name)
        password_file, file = directory / "password", directory / "settings.yaml"
        password_file.write_text(password)
        password_file.chmod(0o600)
        settings = {
            "registries": [{"host": HOST, "registry_url": front.url}],
            "airflow": {"url": airflow.url, "username": "bench", "password_file": str(password_file)},
            "docker": {"config_file": str(directory / "docker" / "config.json")},
        }
        file.write_text(json.dumps(settings))
        yield file, clean_environment(directory, ecr_url=ecr.url, measured=False)


def _run(command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return done


def _imports(text: str) -> list[str]:
    found: list[tuple[int, str]] = []
    for line in text.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[1].strip().isdigit():
            found.append((int(parts[1]), parts[2].strip()))
    return [f"{cumulative / 1000:8.1f} ms  {name}" for cumulative, name in sorted(found, reverse=True)[:SHOWN]]


def _print(title: str, lines: Sequence[str]) -> None:
    print(f"{title}\n")
    for line in lines:
        print(f"    {line}")
    print()


if __name__ == "__main__":
    main()
