"""A data platform's pass: 100 registries over 10 roles and 4 regions, answers 20 ms late, one call in 20 throttled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed.daemon import PRODUCT, clean_environment
from tests.testbed.measuring import Cost, measure
from tests.testbed.standins.aws_faults import Throttled
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.sts import TrustedRole
from tests.testbed.standins.tokens import TokenBook

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")
ROLES = tuple(f"arn:aws:iam::{210987654300 + number}:role/ecr-pull" for number in range(10))
LATENCY_S = 0.02
# 25 accounts in 4 regions; each account's registries are opened by one of the 10 roles.
REGISTRIES: list[dict[str, str]] = [
    {"host": f"{210987654300 + number}.dkr.ecr.{region}.amazonaws.com", "role_arn": ROLES[number % 10]}
    for number in range(25)
    for region in REGIONS
]


@dataclass(frozen=True)
class Pass:
    """One `once`: how it ended, how long the pass took, and what the process cost."""

    exit_code: int
    slots: list[dict[str, Any]]
    stderr: str
    pass_s: float
    cost: Cost


@dataclass
class Platform:
    """The stand-ins, and the settings of the daemon that serves them."""

    directory: Path
    ecr: EcrStandIn
    front: RegistryFront
    registries: list[dict[str, str]]

    @property
    def config_file(self) -> Path:
        return self.directory / "docker" / "config.json"

    def count(self, action: str) -> int:
        return sum(call.action == action for call in self.ecr.calls)

    def settings(self) -> dict[str, Any]:
        return {
            "registries": [{"registry_url": self.front.url, **registry} for registry in self.registries],
            "docker": {"config_file": str(self.config_file)},
        }

    def environment(self) -> dict[str, str]:
        more = {"AWS_ENDPOINT_URL_STS": self.ecr.url}
        return clean_environment(self.directory, ecr_url=self.ecr.url, measured=False, env=more)

    def once(self, *words: str) -> Pass:
        file = self.directory / "settings.yaml"
        file.write_text(json.dumps(self.settings()))
        command = [*PRODUCT, "once", "--json", *words, "--config", str(file)]
        cost, exit_code, stdout, stderr = measure(command, self.environment())
        ends = [json.loads(line) for line in stderr.splitlines() if '"pass_finished"' in line]
        slots = json.loads(stdout)["slots"]
        return Pass(exit_code, slots, stderr, ends[-1]["duration_s"], cost)


@contextmanager
def platform(
    registries: list[dict[str, str]] = REGISTRIES, *, latency_s: float = LATENCY_S, throttled: bool = True
) -> Iterator[Platform]:
    book = TokenBook()
    with (
        tempfile.TemporaryDirectory(prefix="platform-") as directory,
        EcrStandIn(book) as ecr,
        RegistryFront(book) as front,
    ):
        roles = {registry["role_arn"] for registry in registries if "role_arn" in registry}
        ecr.sts.roles = {role: TrustedRole() for role in roles}
        ecr.slow(latency_s)
        front.slow(latency_s)
        if throttled:
            ecr.every(20, Throttled())
        yield Platform(Path(directory), ecr, front, registries)
