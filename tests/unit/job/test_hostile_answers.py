"""Forty answers of the largest size at a time fit into the memory of a pass in a container of 160 MB."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import ecr_refresher
from ecr_refresher.core import budgets
from tests.testbed.daemon import clean_environment
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.script import Malformed
from tests.testbed.standins.serving import Exchange, Reply, StandIn
from tests.testbed.standins.tokens import TokenBook

HOSTS = [f"{210987654300 + number}.dkr.ecr.us-east-1.amazonaws.com" for number in range(40)]
OURS = '{"connection_id": "x", "conn_type": "docker", "host": "another", "login": "AWS", '
SHAPES = {
    "lists": ("[", "[],", "[]]"),  # take 27 times their size as objects
    "objects": ("[", "{},", "{}]"),  # 30 times
    "text": ('"\N{GRINNING FACE}', "x", '"'),  # four times
}


def body(start: str, shape: str, size: int) -> bytes:
    head, piece, tail = SHAPES[shape]
    room = size - len(f"{start}{head}{tail}}}".encode())
    return f"{start}{head}{piece * (room // len(piece))}{tail}}}".encode()


def once(home: Path, ecr: EcrStandIn, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The slots of one pass, with the memory that a container of 160 MB leaves it."""
    file = home / "settings.yaml"
    file.write_text(json.dumps({**settings, "refresh": {"prove": False}}))
    program = [sys.executable, "-m", "ecr_refresher", "once", "--json", "--config", str(file)]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -d {budgets.DATA_MIN >> 10}; exec "$@"', "sh", *program],
        cwd=Path(ecr_refresher.__file__).parents[1],
        env=clean_environment(home, ecr_url=ecr.url, measured=False),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "memory" not in done.stderr.lower(), done.stderr
    slots: list[dict[str, Any]] = json.loads(done.stdout)["slots"]
    assert len(slots) == len(HOSTS)
    return slots


@pytest.mark.parametrize(
    ("field", "shape"),
    [("authorizationData", "lists"), ("authorizationData", "objects"), ("authorizationData", "text"), ("x", "objects")],
)
def test_of_an_endpoint_of_ecr(tmp_path: Path, field: str, shape: str) -> None:
    with EcrStandIn(TokenBook()) as ecr:
        ecr.always(Malformed(body(f'{{"{field}": ', shape, budgets.ANSWER_MAX)))
        registries = [{"host": host, "endpoint_url": f"{ecr.url}/{host}"} for host in HOSTS]
        slots = once(tmp_path, ecr, {"registries": registries, "docker": {"config_file": f"{tmp_path}/docker/"}})
    assert {slot["error"]["reason"] for slot in slots} == {"invalid"}


class HostileAirflow(StandIn):
    """Logs everybody in, and answers all else with one body."""

    def __init__(self, body: bytes, status: int) -> None:
        super().__init__()
        self._reply = Reply(status, body)

    def respond(self, exchange: Exchange) -> None:
        match exchange.path:
            case "/api/v2/version":
                exchange.send(Reply.json(200, {"version": "3.3.2"}))
            case "/auth/token":
                exchange.send(Reply.json(201, {"access_token": "an.access.token"}))
            case _:
                exchange.send(self._reply)


@pytest.mark.parametrize(
    ("status", "field", "shape"),
    [
        (200, "description", "text"),
        (200, "description", "objects"),
        (200, "detail", "objects"),
        (200, "x", "objects"),
        (422, "detail", "objects"),
    ],
)
def test_of_an_airflow(tmp_path: Path, status: int, field: str, shape: str) -> None:
    password = tmp_path / "password"
    password.write_text("the password")
    password.chmod(0o600)
    most = budgets.AIRFLOW_ANSWER_MAX if status == 200 else budgets.AIRFLOW_REFUSAL_MAX
    hostile = HostileAirflow(body(f'{OURS}"{field}": ', shape, most), status)
    with EcrStandIn(TokenBook()) as ecr, hostile:
        airflow = {"url": hostile.url, "username": "u", "password_file": str(password)}
        connections = {f"c{number}": HOSTS[0] for number in range(len(HOSTS))}
        slots = once(tmp_path, ecr, {"registries": HOSTS[:1], "airflow": {**airflow, "connections": connections}})
    assert {slot["error"] and slot["error"]["reason"] for slot in slots} <= {None, "invalid"}


HEADS = {
    "headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 65_000) for n in range(95)) + b"\r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 200_000,
    "the size of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * (6 << 20),
}


class HostileHead(HostileAirflow):
    """Logs everybody in, and answers all else with 6 MB that are no body."""

    def __init__(self, head: bytes) -> None:
        super().__init__(b"", 200)
        self._head = head

    def respond(self, exchange: Exchange) -> None:
        if exchange.path in ("/api/v2/version", "/auth/token"):
            super().respond(exchange)
            return
        with contextlib.suppress(OSError):
            exchange.wfile.write(self._head)
        exchange.cut()


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_what_is_not_the_body_has_a_largest_size_too(tmp_path: Path, head: bytes) -> None:
    password = tmp_path / "password"
    password.write_text("the password")
    password.chmod(0o600)
    with EcrStandIn(TokenBook()) as ecr, HostileHead(head) as hostile:
        connections = {f"c{number}": HOSTS[0] for number in range(len(HOSTS) // 2)}
        login = {"username": "u", "password_file": str(password)}
        airflow = {"url": hostile.url, **login, "connections": connections}
        registries = [{"host": HOSTS[0]}]
        registries += [{"host": host, "endpoint_url": f"{hostile.url}/{host}"} for host in HOSTS[1 : len(HOSTS) // 2]]
        config = {"config_file": f"{tmp_path}/docker/"}
        slots = once(tmp_path, ecr, {"registries": registries, "airflow": airflow, "docker": config})
    by_reason = Counter(slot["error"]["reason"] if slot["error"] else slot["outcome"] for slot in slots)
    assert by_reason == {"written": 1, "transient": len(HOSTS) - 1}
