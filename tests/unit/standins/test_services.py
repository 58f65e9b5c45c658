"""The demo's services refuse what the real ones refuse."""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from ecr_refresher.standins.services import CONNECTIONS, Services


@pytest.fixture
def services() -> Iterator[Services]:
    with Services(60.0, "right") as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.shutdown()


def ask(services: Services, method: str, path: str, body: object = None, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request(method, f"{services.url}{path}", json=body, headers=headers)


def basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"AWS:{token}".encode()).decode()


def test_the_registry_takes_only_living_tokens_of_ecr(services: Services) -> None:
    given = ask(services, "POST", "/").json()["authorizationData"][0]["authorizationToken"]
    token = base64.b64decode(given).decode().removeprefix("AWS:")
    assert ask(services, "GET", "/v2/", Authorization=basic(token)).status == 200
    refused = ask(services, "GET", "/v2/", Authorization=basic("another"))
    assert refused.status == 401
    assert 'service="ecr.amazonaws.com"' in refused.headers["WWW-Authenticate"]
    services.tokens[token] = time.time() - 1
    assert ask(services, "GET", "/v2/", Authorization=basic(token)).status == 403
    assert services.verdict(token) == "expired"


def test_airflow_wants_a_login_and_shows_no_password(services: Services) -> None:
    assert ask(services, "POST", "/auth/token", {"username": "one", "password": "wrong"}).status == 401
    login = ask(services, "POST", "/auth/token", {"username": "one", "password": "right"}).json()["access_token"]
    bearer = f"Bearer {login}"
    assert ask(services, "GET", f"{CONNECTIONS}/one").status == 403
    assert ask(services, "GET", f"{CONNECTIONS}/one", Authorization=bearer).status == 404
    entry = {"connection_id": "one", "password": "secret"}
    assert ask(services, "POST", CONNECTIONS, entry, Authorization=bearer).json()["password"] == "***"
    changed = ask(services, "PATCH", f"{CONNECTIONS}/one", {"password": "newer"}, Authorization=bearer)
    assert (changed.status, changed.json()["password"]) == (200, "***")
    assert services.connections["one"]["password"] == "newer"
    assert ask(services, "GET", "/another").status == 404


def test_a_client_that_hangs_up_is_no_mistake(services: Services, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", services.server_port)) as client:
        client.sendall(b"GET /v2/ HTTP/1.1\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
    assert ask(services, "GET", "/v2/").status == 401
    assert capsys.readouterr().err == ""
