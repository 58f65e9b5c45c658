"""The quadlet has keys that Podman knows, and does what docs/podman.md says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ecr_refresher import __version__, options

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "quadlet" / "ecr-refresher.container"
PAGE = (ROOT / "docs" / "podman.md").read_text()
# Those of podman-systemd.unit(5) that a service such as this may use.
KEYS = {
    "ContainerName", "DropCapability", "Environment", "EnvironmentFile", "Exec", "Group", "HealthCmd", "HealthInterval",
    "HealthOnFailure", "HealthRetries", "HealthStartPeriod", "HealthTimeout", "Image", "Label", "Mount", "Network",
    "NoNewPrivileges", "Notify", "PodmanArgs", "PublishPort", "Pull", "ReadOnly", "ReadOnlyTmpfs", "Secret",
    "SecurityLabelDisable", "StopTimeout", "Tmpfs", "User", "UserNS", "Volume",
}  # fmt: skip


def sections() -> dict[str, list[tuple[str, str]]]:
    """The unit's keys and values by section. A key may stand there more than once, as in any unit."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            here = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            key, sign, value = line.partition("=")
            assert sign, line
            assert key.isidentifier(), line
            here.append((key, value))
    return found


CONTAINER = sections()["Container"]


def values(key: str) -> list[str]:
    return [value for each, value in CONTAINER if each == key]


def test_its_sections_and_keys_are_podmans() -> None:
    assert sections().keys() == {"Unit", "Container", "Service", "Install"}
    assert {key for key, _ in CONTAINER} <= KEYS


def test_it_runs_commands_that_the_program_takes() -> None:
    (command,) = values("Exec")
    (health,) = values("HealthCmd")
    assert options.parse(shlex.split(command)).command == "run"
    program, *words = json.loads(health)
    assert program == "ecr-refresher"
    assert options.parse(words).command == "status"


def test_nothing_updates_it_but_its_administrator() -> None:
    assert values("Image") == [f"localhost/ecr-refresher:{__version__}"]
    assert values("Label") == ["io.containers.autoupdate=disabled"]


def test_its_password_is_a_secret_of_podmans_for_its_user_alone() -> None:
    assert values("Secret") == ["airflow-password,uid=50000,mode=0400"]
    assert values("User") == ["50000"]
    assert "PASSWORD" not in UNIT.read_text()


def test_the_page_names_its_places() -> None:
    assert "/etc/containers/systemd/ecr-refresher.container" in PAGE
    mounted = dict(volume.split(":")[:2] for volume in values("Volume"))
    assert mounted == {"/etc/ecr-refresher": "/etc/ecr-refresher", "/var/lib/ecr-refresher": "/docker"}
    for place in (*values("EnvironmentFile"), "/var/lib/ecr-refresher/config.json", "/run/secrets/airflow-password"):
        assert place in PAGE
