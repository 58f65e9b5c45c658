"""A data platform's pass: 100 registries over 10 roles and 4 regions, answers 20 ms late, one call in 20 throttled."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecr_refresher.standins.aws_faults import Throttled
from ecr_refresher.standins.ecr import EcrStandIn
from ecr_refresher.standins.registry_front import RegistryFront
from ecr_refresher.standins.sts import TrustedRole
from ecr_refresher.standins.tokens import TokenBook
from tests.testbed.daemon import PRODUCT, clean_environment

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")
ROLES = tuple(f"arn:aws:iam::{210987654300 + number}:role/ecr-pull" for number in range(10))
LATENCY_S = 0.02
# 25 accounts in 4 regions; each account's registries are opened by one of the 10 roles.
REGISTRIES = [
    {"host": f"{210987654300 + number}.dkr.ecr.{region}.amazonaws.com", "role_arn": ROLES[number % 10]}
    for number in range(25)
    for region in REGIONS
]

# The peak of a child counts what its parent held when it forked, so a small parent stands in between.
_SMALL_PARENT = """
import json, os, subprocess, sys
child = subprocess.Popen(json.loads(sys.argv[1]))
_, status, usage = os.wait4(child.pid, 0)
figures = [os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime]
open(sys.argv[2], "w").write(json.dumps(figures))
"""


@dataclass(frozen=True)
class Pass:
    """One `once`: how it ended, how long it took (pass and process), its peak of memory, its CPU time."""

    exit_code: int
    slots: list[dict[str, Any]]
    stderr: str
    pass_s: float
    process_s: float
    peak_mb: float
    cpu_s: float


@dataclass
class Platform:
    """The stand-ins, and the settings of the daemon that serves them."""

    directory: Path
    ecr: EcrStandIn
    front: RegistryFront

    @property
    def config_file(self) -> Path:
        return self.directory / "docker" / "config.json"

    def count(self, action: str) -> int:
        return sum(call.action == action for call in self.ecr.calls)

    def once(self, env: Mapping[str, str] | None = None) -> Pass:
        settings = {
            "registries": [{"registry_url": self.front.url, **registry} for registry in REGISTRIES],
            "docker": {"config_file": str(self.config_file)},
        }
        file, figures = self.directory / "settings.yaml", self.directory / "figures"
        file.write_text(json.dumps(settings))
        environment = clean_environment(
            self.directory,
            ecr_url=self.ecr.url,
            measured=False,
            env={"AWS_ENDPOINT_URL_STS": self.ecr.url, **(env or {})},
        )
        command = json.dumps([*PRODUCT, "once", "--json", "--strict", "--config", str(file)])
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-S", "-c", _SMALL_PARENT, command, str(figures)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        took = time.monotonic() - began
        exit_code, peak_mb, cpu_s = json.loads(figures.read_text())
        ends = [json.loads(line) for line in done.stderr.splitlines() if '"pass_finished"' in line]
        slots = json.loads(done.stdout)["slots"]
        return Pass(exit_code, slots, done.stderr, ends[-1]["duration_s"], took, peak_mb, cpu_s)


@contextmanager
def platform() -> Iterator[Platform]:
    book = TokenBook()
    with (
        tempfile.TemporaryDirectory(prefix="platform-") as directory,
        EcrStandIn(book) as ecr,
        RegistryFront(book) as front,
    ):
        ecr.sts.roles = {role: TrustedRole() for role in ROLES}
        ecr.slow(LATENCY_S)
        front.slow(LATENCY_S)
        ecr.every(20, Throttled())
        yield Platform(Path(directory), ecr, front)
