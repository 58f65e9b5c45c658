"""The unit in a real systemd 252, installed as docs/systemd.md says: it starts, survives, ends, keeps its secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import available
from tests.integration.settings import CONNECTION
from tests.testbed import images, parts
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.daemon import AWS_SECRET_KEY
from tests.testbed.engine import Engine
from tests.testbed.machine import ADDRESS
from tests.testbed.prepare_images import SYSTEMD
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST, Registry
from tests.testbed.secret_hunt import Outputs, Secrets
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook
from tests.testbed.systemd import HOST_ADDRESS, STEPS, UNIT, Systemd

pytestmark = [pytest.mark.real("engine, registry, systemd"), pytest.mark.timeout(400)]

PASSWORD = "the-password-in-the-credential"
SETTINGS = "/etc/ecr-refresher/settings.yaml"
OWN_FILE = "/var/lib/ecr-refresher/.docker/config.json"
ENVIRONMENT = f"""
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
AWS_SECRET_ACCESS_KEY={AWS_SECRET_KEY}
SSL_CERT_FILE=/etc/ssl/testbed.crt
ECR_REFRESHER_CONFIG={SETTINGS}
"""


class World:
    """A host with systemd, and around it the stand-ins and the real registry."""

    def __init__(self, host: Systemd, ecr: EcrStandIn, airflow: AirflowStandIn, book: TokenBook) -> None:
        self.host, self.ecr, self.airflow, self.book = host, ecr, airflow, book
        airflow_settings = {
            "url": airflow.url,
            "username": "ecr-refresher",
            "password_file": f"/run/credentials/{UNIT}/airflow-password",
        }
        self.settings: dict[str, Any] = {"registries": [HOST], "airflow": airflow_settings}

    def configure(self, **docker: str) -> None:
        self.host.write(SETTINGS, json.dumps(self.settings | {"docker": docker}))

    def held(self, path: str) -> str:
        """What the registry would say to the login in that file."""
        auth = json.loads(self.host.execute("cat", path))["auths"][HOST]["auth"]
        return self.book.check("AWS", base64.b64decode(auth).decode().partition(":")[2])

    def is_ready(self) -> bool:
        done = self.host.engine.docker("exec", self.host.name, "/opt/ecr-refresher/bin/ecr-refresher", "status")
        return done.returncode == 0


@pytest.fixture(scope="module")
def world(
    engine_server: Engine,
    registry_server: Registry,
    book: TokenBook,
    outputs: Outputs,
    secrets_seen: Secrets,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    secrets_seen.add(PASSWORD, AWS_SECRET_KEY)
    authority = CertificateAuthority(tmp_path_factory.mktemp("ca"))
    host = Systemd(engine_server, outputs)
    try:
        available(images.missing_image_parts(SYSTEMD), lambda: host.boot(f"--add-host={HOST}:{ADDRESS}"))
        host.install()
        with (
            EcrStandIn(book, host=HOST_ADDRESS) as ecr,
            AirflowStandIn(password=PASSWORD, host=HOST_ADDRESS, tls=authority.issue(HOST_ADDRESS)) as airflow,
        ):
            trusted = "".join(Path(file).read_text() for file in (authority.ca_file, registry_server.ca_file))
            host.write("/etc/ssl/testbed.crt", trusted)
            host.write("/etc/ecr-refresher/ecr-refresher.env", f"{ENVIRONMENT}AWS_ENDPOINT_URL_ECR={ecr.url}\n", "0600")
            host.write("/etc/ecr-refresher/airflow-password", f"{PASSWORD}\n", "0600")
            yield World(host, ecr, airflow, book)
    finally:
        host.close()


@pytest.fixture(autouse=True)
def long_lives(registry_server: Registry) -> None:
    registry_server.front.heal()
    # ECR's own life. A restarted daemon takes a shorter one for a long one that is nearly over, if it looks at Airflow
    # before it has read the file that records the life, and fetches once more.
    registry_server.book.life_s = 12 * 3600


@pytest.fixture
def host(world: World) -> Systemd:
    """The host, with the service running and ready."""
    world.configure(config_file=OWN_FILE)
    # The shortest that README allows, lest the test takes longer than it must.
    world.host.execute("sed", "-i", "s/^WatchdogSec=.*/WatchdogSec=10/", f"/etc/systemd/system/{UNIT}")
    world.host.execute("systemctl", "daemon-reload")
    world.host.shell(STEPS[1], within=150)
    wait_until(world.is_ready, 60, "readiness")
    return world.host


@pytest.fixture
def idle(world: World) -> Iterator[Systemd]:
    """The host, with the service stopped before and after."""
    world.host.execute("systemctl", "stop", UNIT)
    yield world.host
    world.host.execute("systemctl", "stop", UNIT)


def test_systemd_has_nothing_against_the_unit(world: World) -> None:
    path = f"/etc/systemd/system/{UNIT}"
    assert world.host.shell(f"systemd-analyze verify {path} 2>&1") == ""
    world.host.execute("systemd-analyze", "security", "--offline=true", "--threshold=20", path)


def exposure(host: Systemd) -> float:
    said = host.execute("systemd-analyze", "security", "--no-pager", UNIT)
    found = re.search(r"Overall exposure level for \S+: (\S+)", said)
    assert found is not None
    return float(found[1])


def stated() -> list[float]:
    """The exposures that docs/systemd.md states: of the unit, and with the drop-in."""
    text = (parts.REPOSITORY / "docs" / "systemd.md").read_text()
    return [float(figure) for figure in re.findall(r"`systemd-analyze security` says (\d\.\d)", text)]


def test_it_is_ready_as_its_own_user_with_the_password_as_a_credential(world: World, host: Systemd) -> None:
    found = host.properties()
    assert (found["ActiveState"], found["Type"], found["User"]) == ("active", "notify", "ecr-refresher")
    status = host.execute("cat", f"/proc/{found['MainPID']}/status")
    assert f"CapBnd:\t{0:016x}" in status
    assert host.shell(f"stat -c %U /proc/{found['MainPID']}/status") == "ecr-refresher\n"
    assert world.airflow.connections[CONNECTION].password in {token.password for token in world.book.all_issued()}
    assert host.shell("stat -c '%U %a' /etc/ecr-refresher/airflow-password") == "root 600\n"
    assert PASSWORD not in host.shell(f"tr '\\0' '\\n' < /proc/{found['MainPID']}/environ")
    assert world.held(OWN_FILE) == "ok"
    assert host.shell(f"stat -c '%U:%G %a' {OWN_FILE}") == "ecr-refresher:ecr-refresher 600\n"
    assert {"daemon_started", "delivered"} <= {line["event"] for line in host.journal()}
    assert {line["level"] for line in host.journal()} == {"info"}
    assert exposure(host) <= stated()[0] <= 2.0


def test_killed_it_comes_back_and_fetches_nothing(world: World, host: Systemd) -> None:
    before, calls = host.properties(), len(world.ecr.calls)
    host.execute("kill", "-KILL", before["MainPID"])
    host.wait_for_property(60, NRestarts=str(int(before["NRestarts"]) + 1), ActiveState="active")
    wait_until(world.is_ready, 60, "readiness")
    assert host.properties()["MainPID"] != before["MainPID"]
    assert len(world.ecr.calls) == calls


def test_stopped_dead_it_is_ended_by_the_watchdog_and_comes_back(world: World, host: Systemd) -> None:
    before = host.properties()
    host.execute("kill", "-STOP", before["MainPID"])
    host.wait_for_property(90, NRestarts=str(int(before["NRestarts"]) + 1), ActiveState="active")
    wait_until(world.is_ready, 60, "readiness")
    assert "Watchdog timeout" in host.shell(f"journalctl -u {UNIT} --no-pager")


def test_a_reload_takes_the_new_settings_and_a_stop_is_clean(world: World, host: Systemd) -> None:
    second = "/var/lib/ecr-refresher/second/config.json"
    world.configure(config_file=second)
    host.execute("systemctl", "reload", UNIT)
    wait_until(lambda: host.has(second), 30, "the new file")
    assert world.held(second) == "ok"
    host.execute("systemctl", "stop", UNIT)
    found = host.properties()
    assert (found["Result"], found["ExecMainStatus"], found["ActiveState"]) == ("success", "0", "inactive")
    assert host.journal()[-1]["event"] == "daemon_stopped"
    assert host.shell("find /proc -maxdepth 1 -user ecr-refresher") == ""


def test_wrong_settings_are_not_tried_again_and_again(idle: Systemd) -> None:
    idle.write(SETTINGS, "registries: [nonsense]\n")
    done = idle.engine.docker("exec", idle.name, "systemctl", "start", UNIT)
    assert done.returncode != 0
    idle.wait_for_property(20, ActiveState="failed", ExecMainStatus="2", NRestarts="0")
    idle.execute("systemctl", "reset-failed", UNIT)


def test_without_a_password_it_starts_all_the_same_and_says_what_is_missing(world: World, idle: Systemd) -> None:
    world.configure(config_file=OWN_FILE)
    idle.shell("mv /etc/ecr-refresher/airflow-password /etc/ecr-refresher/elsewhere")
    try:
        idle.execute("systemctl", "start", UNIT, within=150)

        def complaints() -> list[str]:
            return [line["error"] for line in idle.journal() if line.get("reason") == "missing"]

        wait_until(complaints, 60, "its complaint")
        assert f"/run/credentials/{UNIT}/airflow-password is empty" in complaints()[0]
        assert world.held(OWN_FILE) == "ok"
    finally:
        idle.shell("mv /etc/ecr-refresher/elsewhere /etc/ecr-refresher/airflow-password")


def test_the_config_json_of_another_user_is_that_user_s(world: World, idle: Systemd) -> None:
    path = "/home/airflow/.docker/config.json"
    idle.execute("useradd", "--create-home", "airflow")
    idle.shell("chmod 0700 /home/airflow")
    world.configure(config_file=path, owner="airflow")
    idle.shell(f"cd /src\n{STEPS[2]}", within=150)
    wait_until(world.is_ready, 60, "readiness")
    assert world.held(path) == "ok"
    owners = idle.shell(f"stat -c '%U:%G %a' {path} $(dirname {path})").split("\n")
    assert owners[:2] == ["airflow:airflow 600", "airflow:airflow 700"]
    assert exposure(idle) <= stated()[1]
    assert {line["level"] for line in idle.journal()} == {"info"}
    idle.execute("rm", path)
    wait_until(lambda: idle.has(path), 90, "the file's repair")
