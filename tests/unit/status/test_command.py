"""`ecr-refresher status` against a real server: what it prints, its exit status, and how little it loads."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ecr_refresher import cli, memory
from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.web import connection
from ecr_refresher.status import client
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.daemon import MEASURING
from tests.testbed.processes import free_port
from tests.unit.daemon.house import House
from tests.unit.daemon.test_cleaning import SWEPT, Cleaner
from tests.unit.daemon.world import AIRFLOW, CONFIG, DOCKER, HOST, LIFE, PRINCIPAL, World, failure, plan

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ECR_REFRESHER_LISTEN", "ECR_REFRESHER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def house() -> Iterator[House]:
    house = House(World().served(), Server(port=0))
    yield house
    house.stop()


def url(house: House) -> str:
    return f"http://127.0.0.1:{house.server.port}"


def test_a_daemon_that_is_well_is_0_and_its_slots_are_told_as_people_say_it(house: House, capsys: Said) -> None:
    house.world.wait(1800.0).turn()
    house.publish()
    assert cli.main(["status", "--url", url(house)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "ready  All 2 sinks hold a credential.",
        "ecr-refresher 0.1.0, started 30 min ago",
        "",
        f"{HOST}: newest token ends in 11 h 30 min",
    ]
    assert re.fullmatch(rf"  \+  docker/{CONFIG} +good for 11 h 30 min  renewal in \d h( \d+ min)?", lines[4])
    assert re.fullmatch(r"  \+  airflow/default/docker_default +good for 11 h 30 min  next look now", lines[5])
    assert len(lines) == 6


def test_a_daemon_that_is_not_ready_is_1_and_says_why_and_what_comes_next(house: House, capsys: Said) -> None:
    world = house.world
    world.wait(LIFE).turn().finish(world.failed(AIRFLOW, Reason.DENIED), world.delivered(DOCKER))
    house.publish()
    assert cli.main(["status", "--url", url(house)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT READY  1 of 2 sinks has no credential.\n")
    assert re.search(
        r"\n  -  airflow/default/docker_default +expired just now +retry in .*\n     denied, just now: it did", out
    )
    assert re.search(rf"\n  \+  docker/{CONFIG} +good for 12 h ", out)


def test_a_clock_that_is_off_is_told(house: House, capsys: Said) -> None:
    house.world.state = replace(house.world.state, skew=-400.0)
    house.publish()
    assert cli.main(["status", "--url", url(house)]) == 0
    assert (
        capsys.readouterr().out.splitlines()[1] == "ecr-refresher 0.1.0, started just now, its clock 6 min behind AWS's"
    )


def test_what_is_wrong_with_a_registry_is_told_once(capsys: Said) -> None:
    world = World().loaded()
    denied = failure(Reason.DENIED, "no right", "Grant it")
    world.say(wire.Fetched(PRINCIPAL, 0.1, failure=denied))
    world.finish(*(wire.Delivered(*slot, Outcome.FAILED, failure=denied) for slot in (AIRFLOW, DOCKER)))
    house = House(world, Server(port=0))
    try:
        assert cli.main(["status", "--url", url(house)]) == 1
    finally:
        house.stop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:6] == [f"{HOST}: no token yet", "  denied, just now: no right", "  fix: Grant it"]
    assert len(lines) == 8


def test_the_last_cleanup_is_told_where_there_is_one(capsys: Said) -> None:
    cleaner = Cleaner().hears()
    job = cleaner.sweep()
    cleaner.say(wire.Removed("container", "web"), wire.Removed("image", "web:1", 5), SWEPT, wire.Done(), job=job.id)
    cleaner.gone(job).wait(120)
    cleaner.say(wire.Hindered("events", failure(Reason.TRANSIENT, "there is no engine")), job=cleaner.listen.id)
    house = House(cleaner, Server(port=0))
    try:
        cli.main(["status", "--url", url(house)])
    finally:
        house.stop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4] == ""
    assert re.fullmatch(r"cleanup: .*removed 1 container and 1 image, the disk is 80 % full.*", lines[-3])
    assert lines[-2].endswith(": there is no engine")
    assert lines[-1] == "  fix: Ask again"


def test_what_is_not_required_is_marked(capsys: Said) -> None:
    house = House(World().loaded(plan(required=False)), Server(port=0))
    try:
        assert cli.main(["status", "--url", url(house)]) == 1
        assert "airflow/default/docker_default (not required)  not looked at yet" in capsys.readouterr().out
    finally:
        house.stop()


def test_json_is_the_daemon_s_own_document(house: House, capsys: Said) -> None:
    assert cli.main(["status", "--json", "--url", url(house)]) == 0
    assert capsys.readouterr().out == house.text("/status")
    house.world.wait(500.0)
    assert cli.main(["status", "--json", "--live", "--url", url(house)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["live"], document["ready"]) == (False, True)


def test_live_is_one_line(house: House, capsys: Said) -> None:
    assert cli.main(["status", "--live", "--url", url(house)]) == 0
    assert capsys.readouterr().out == "alive\n"
    house.world.wait(500.0)
    assert cli.main(["status", "--live", "--url", url(house)]) == 1
    assert capsys.readouterr().out == "not alive: its loop does not turn\n"


def test_a_daemon_that_is_not_ready_is_alive(house: House) -> None:
    house.world.wait(LIFE).turn()
    house.publish()
    assert [cli.main(["status", *more, "--url", url(house)]) for more in ([], ["--live"])] == [1, 0]


@pytest.mark.parametrize("more", [[], ["--live"], ["--json"]])
def test_where_nothing_listens_it_says_so_and_how_to_fix_it(more: list[str], capsys: Said) -> None:
    port = free_port()
    assert cli.main(["status", *more, "--url", f"http://127.0.0.1:{port}"]) == 1
    said = capsys.readouterr()
    fix = "Start the daemon, or name its address with --url or ECR_REFRESHER_LISTEN"
    assert said.err == f"ecr-refresher: status: nothing listens at http://127.0.0.1:{port}. {fix}\n"
    assert said.out == ""


def test_a_wrong_address_is_2(capsys: Said) -> None:
    assert cli.main(["status", "--url", "127.0.0.1:9719"]) == 2
    assert "--url is not a URL of the daemon. Write http://host:port" in capsys.readouterr().err


def test_a_host_that_can_t_be_one_is_2(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_REFRESHER_LISTEN", os.fsdecode(b"a\xff:80"))
    for words in ([], ["--url", "http://a..b:80"]):
        assert cli.main(["status", *words]) == 2
        assert "is not the name of a host. Correct --url or ECR_REFRESHER_LISTEN" in capsys.readouterr().err


def test_the_environment_says_where(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_REFRESHER_LISTEN", f":{house.server.port}")
    assert cli.main(["status", "--live"]) == 0


# Every key of a status, and a number for a name.
STRANGE = {
    "live": True,
    "ready": True,
    "now": "2026-11-18T11:06:40Z",
    "started_at": "2026-11-18T11:06:40Z",
    "version": "1",
    "clock_skew_seconds": 0,
    "slots": [],
    "registries": [{"name": 5, "host": 5, "expires_at": None, "last_error": None}],
}


# --- others than ours answer -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404, as no ecr-refresher does. Check the address"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "does not answer as an ecr-refresher does. Check the address"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"ready": true, "live": true}', "does not answer as an ecr-refresher does"),
        (
            b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(STRANGE).encode(),
            "does not answer as an ecr-refresher does",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "does not answer as an ecr-refresher does. Check the address"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP. Check the address, or ask with https"),
        (b"", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, "sends too much for an ecr-refresher"),
    ],
)
def test_what_is_no_ecr_refresher_is_told_so(
    answer: bytes, words: str, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_MAX", 1000)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert cli.main(["status", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == 1
        thread.join()
    assert words in capsys.readouterr().err


def test_who_never_answers_is_not_waited_for(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert cli.main(["status", "--live", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == 1
    assert "gave no whole answer within" in capsys.readouterr().err


def test_an_answer_that_comes_a_byte_at_a_time_is_given_up(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with closing(server.accept()[0]) as connection, suppress(OSError):
                for _ in range(100):
                    connection.sendall(b"H")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        assert cli.main(["status", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"]) == 1
        assert time.monotonic() - began < 2
        thread.join()
    assert "gave no whole answer within" in capsys.readouterr().err


MANY = 4 << 20  # lists; each takes 3 bytes of an answer, and 64 when it is read


def test_an_answer_that_takes_much_memory_is_no_ecr_refresher_s(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    monkeypatch.setattr(memory, "data_max", lambda _: pages * resource.getpagesize() + (100 << 20))
    monkeypatch.setattr(client, "get", lambda *_: (200, b'{"live": 1, "ready": 1, "x": [' + b"[]," * MANY + b"1]}"))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    assert cli.main(["status", "--json", "--url", "http://127.0.0.1:9719"]) == 1
    assert "does not answer as an ecr-refresher does" in capsys.readouterr().err
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_control_characters_are_escaped_and_forge_no_line(capsys: Said) -> None:
    world = World().loaded()
    world.finish(*(world.failed(slot, message="\x1b[31m gone\nready  All is well") for slot in (AIRFLOW, DOCKER)))
    with House(world, Server(port=0)) as house:
        cli.main(["status", "--url", url(house)])
        shown = capsys.readouterr().out
        cli.main(["status", "--json", "--url", url(house)])
        document = capsys.readouterr().out
    assert "\\x1b[31m gone\\nready  All is well" in shown
    for text in (shown, document):
        assert text.replace("\n", "").isprintable()
        assert not any(line.startswith("ready") for line in text.splitlines())
    assert json.loads(document)["slots"][0]["last_error"]["message"] == "\x1b[31m gone\nready  All is well"


# --- TLS -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[House, CertificateAuthority, Path]]:
    """A server whose certificate names a service, and the settings that say so."""
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("localhost", "ecr-refresher.example.com")
    house = House(World().served(), Server(port=0, tls_cert=certificate, tls_key=key))
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        json.dumps({"server": {"listen": f":{house.server.port}", "tls_cert": certificate, "tls_key": key}})
    )
    yield house, authority, settings
    house.stop()


def test_with_tls_in_the_settings_its_own_certificate_is_trusted_and_no_other(
    secured: tuple[House, CertificateAuthority, Path], tmp_path: Path, capsys: Said
) -> None:
    _, authority, settings = secured
    assert cli.main(["status", "--config", str(settings)]) == 0
    other, _ = authority.issue("127.0.0.1")
    settings.write_text(settings.read_text().replace("localhost.crt", Path(other).name))
    assert cli.main(["status", "--config", str(settings)]) == 1
    assert "its certificate is not trusted: " in capsys.readouterr().err


def test_with_a_url_the_certificate_must_name_it_and_come_from_the_ca(
    secured: tuple[House, CertificateAuthority, Path], capsys: Said
) -> None:
    house, authority, _ = secured
    there, ca = f"https://localhost:{house.server.port}", str(authority.ca_file)
    assert cli.main(["status", "--url", there, "--ca", ca]) == 0
    assert cli.main(["status", "--url", there]) == 1
    assert "its certificate is not trusted: " in capsys.readouterr().err
    assert cli.main(["status", "--url", there.replace("localhost", "127.0.0.1"), "--ca", ca]) == 1
    assert "its certificate is not trusted: " in capsys.readouterr().err
    assert cli.main(["status", "--url", there, "--ca", "/nowhere.pem"]) == 2
    assert "cannot read the certificate /nowhere.pem" in capsys.readouterr().err


def test_http_and_https_mixed_up_are_told_apart(
    secured: tuple[House, CertificateAuthority, Path], house: House, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", 0.2)
    assert cli.main(["status", "--url", f"http://localhost:{secured[0].server.port}"]) == 1
    assert "ecr-refresher: status: " in capsys.readouterr().err
    assert cli.main(["status", "--url", url(house).replace("http:", "https:")]) == 1
    assert "it does not speak TLS. Ask with http" in capsys.readouterr().err


# --- a health check, once a minute -----------------------------------------------------------------------------------
HEAVY = {"asyncio", "dataclasses", "email", "http", "inspect", "json", "logging", "ssl", "urllib", "yaml"}


def loaded(program: str) -> set[str]:
    command = [sys.executable, "-P", "-c", program]
    bare = {name: value for name, value in os.environ.items() if name not in MEASURING}  # coverage loads a lot itself
    done = subprocess.run(command, env=bare, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_it_loads_little_and_nothing_that_is_not_python_s_own(house: House) -> None:
    def of(*words: str) -> set[str]:
        asked = f"import sys; from ecr_refresher import cli; assert cli.main({[*words, '--url', url(house)]!r}) == 0"
        return loaded(f"{asked}; print(*sys.modules)") - loaded("import sys; print(*sys.modules)")

    live, whole = of("status", "--live"), of("status")
    assert {"ecr_refresher.status.client", "socket"} <= live
    tops = {name.partition(".")[0] for name in live | whole}
    assert tops - sys.stdlib_module_names == {"ecr_refresher"}
    assert {name.partition(".")[0] for name in live} & HEAVY == set()
    assert {name.partition(".")[0] for name in whole} & HEAVY == {"json"}


def test_a_reader_that_has_seen_enough_is_no_traceback(house: House) -> None:
    command = [sys.executable, "-P", "-m", "ecr_refresher", "status", "--json", "--url", url(house)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
