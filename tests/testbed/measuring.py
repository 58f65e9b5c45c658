"""Time, CPU and memory: of a command from its start to its end, and of a process that goes on."""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

# The peak of a child counts what its parent held when it forked, so a small parent stands in between.
_SMALL_PARENT = """
import json, os, subprocess, sys
child = subprocess.Popen(json.loads(sys.argv[1]), cwd=sys.argv[3])
_, status, usage = os.wait4(child.pid, 0)
figures = [os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime]
open(sys.argv[2], "w").write(json.dumps(figures))
"""


@dataclass(frozen=True)
class Cost:
    """What something took. `peak_mb` is the resident memory of its largest process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Ended(Exception):
    """What is measured did not do its work; the text says what it said."""


class Measured(NamedTuple):
    """A command that has ended; its cost counts all that it started."""

    cost: Cost
    exit_code: int
    stdout: str
    stderr: str

    def ok(self) -> Cost:
        """The cost of a command that ended well. Raises Ended."""
        if self.exit_code:
            raise Ended(f"exit code {self.exit_code}:\n{self.stdout[-2000:]}\n{self.stderr[-4000:]}")
        return self.cost


def measure(command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> Measured:
    """Run a command to its end."""
    with tempfile.NamedTemporaryFile("r") as figures:
        parent = [sys.executable, "-S", "-c", _SMALL_PARENT, json.dumps(list(command)), figures.name, str(cwd or "/")]
        began = time.monotonic()
        done = subprocess.run(parent, env=dict(env), capture_output=True, text=True, timeout=300, check=True)
        took = time.monotonic() - began
        exit_code, peak_mb, cpu_s = json.loads(figures.read())
    return Measured(Cost(took, cpu_s, peak_mb), exit_code, done.stdout, done.stderr)


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in ("wall_s", "cpu_s", "peak_mb")))


def exponent(points: Mapping[int, float]) -> float:
    """The k of y = c·n^k that fits best: 1 is a cost that grows as n does, 0 one that does not grow."""
    xs, ys = [math.log(n) for n in points], [math.log(max(y, 1e-9)) for y in points.values()]
    return statistics.linear_regression(xs, ys).slope


class Watched:
    """A process that goes on, by what the kernel says of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def memory_mb(self, name: str) -> float:
        """A figure of smaps_rollup: Rss, Private_Dirty…"""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(f"{name}:"))

    def own_cpu_s(self) -> float:
        """CPU of its threads so far, ended ones too: the clock of clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def cpu_s(self) -> float:
        """The same, and that of the children that it has waited for (in steps of 10 ms)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return self.own_cpu_s() + (int(fields[13]) + int(fields[14])) / 100

    def wakeups(self) -> int:
        """Voluntary context switches of its threads so far; not of those that have ended."""
        lines = (line for text in of_threads(self.pid, "status") for line in text.splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))

    def threads(self) -> int:
        return len(of_threads(self.pid, "status"))

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def children(self) -> list[int]:
        return [int(child) for text in of_threads(self.pid, "children") for child in text.split()]

    def peak_with_children(self, until: Callable[[], bool], within_s: float = 120) -> float:
        """Wait for that, and for the end of all children: the most megabytes seen, of a child and the process."""
        deadline, peak = time.monotonic() + within_s, 0.0
        while (children := self.children()) or not until():
            peak = max(peak, *map(_high_mark_mb, children), 0.0)
            if time.monotonic() > deadline:
                raise Ended("no worker came and went")
            time.sleep(0.002)
        return peak + self.memory_mb("Rss")


def of_threads(pid: int, name: str) -> list[str]:
    """The text of a file that proc(5) has for each thread; a thread may end meanwhile."""
    return [text for path in Path(f"/proc/{pid}/task").glob(f"*/{name}") if (text := _text_if_there(path))]


def _text_if_there(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text()
    return ""


def _high_mark_mb(pid: int) -> float:
    status = _text_if_there(Path(f"/proc/{pid}/status"))
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)
