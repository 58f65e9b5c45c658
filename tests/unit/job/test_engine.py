"""An engine at its worst, over tcp: what it answers is bounded, and a login goes nowhere else."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ecr_refresher.core import budgets
from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.core.plan import Engine
from ecr_refresher.job.net import engine

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
CREDENTIAL = Credential("AWS", Secret("a-token-of-ours"), 0.0, 43_200.0)
VERSION = json.dumps({"ApiVersion": "1.44", "Version": "25.0"}).encode()


class Script(BaseHTTPRequestHandler):
    """Answers `/version`, and anything else as `trick` says."""

    trick: Callable[[Script], None]
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path))
        if self.path.endswith("/version"):
            self.answer(200, VERSION)
        else:
            type(self).trick(self)

    do_POST = do_GET  # noqa: N815 - the base's own names

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Say nothing."""


Serve = Callable[[Callable[[Script], None]], tuple[Engine, list[tuple[str, str]]]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """`serve(trick)`: an engine with its own list of what it was asked."""
    servers: list[ThreadingHTTPServer] = []
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # which no engine on this machine is asked through

    def begin(trick: Callable[[Script], None]) -> tuple[Engine, list[tuple[str, str]]]:
        asked: list[tuple[str, str]] = []
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Script,), {"trick": trick, "asked": asked})))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return Engine(f"tcp://127.0.0.1:{servers[-1].server_address[1]}"), asked

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def endless(script: Script) -> None:
    script.send_response(200)
    script.send_header("Content-Type", "application/json")
    script.end_headers()
    script.wfile.write(b'[{"Status": "')
    try:
        while True:
            script.wfile.write(b"x" * 65536)
    except OSError:
        return


def refusal(call: Callable[[], object]) -> Failed:
    with pytest.raises(Failed) as caught:
        call()
    assert CREDENTIAL.secret.reveal() not in f"{caught.value}{caught.value.__cause__!r}"
    return caught.value


def test_an_endless_answer_ends_and_takes_a_bounded_share_of_memory(serve: Serve) -> None:
    asked, _ = serve(endless)
    engine.version(asked)  # so that all is imported
    for call, most in (
        (lambda: engine.login(asked, HOST, CREDENTIAL), budgets.ENGINE_ANSWER_MAX),
        (lambda: engine.containers_that_mount(asked, "/x"), budgets.ENGINE_LIST_MAX),
    ):
        tracemalloc.start()
        try:
            failure = refusal(call).failure
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert failure.message == f"the engine at {asked.url} sent an answer of more than {most >> 10} KiB"
        assert peak < 3 * most + (4 << 20)


def test_an_engine_that_answers_its_version_without_end_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.VERSION", b'{"ApiVersion": "' + b"x" * (2 << 20) + b'"}')
    asked, _ = serve(endless)
    assert "sent an answer of more than 64 KiB" in refusal(lambda: engine.version(asked)).failure.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_login_is_sent_after_a_redirect(serve: Serve, status: int) -> None:
    elsewhere, asked_there = serve(lambda script: script.answer(200, b"{}"))
    target = elsewhere.url.replace("tcp://", "http://") + "/auth"
    asked, _ = serve(lambda script: script.answer(status, b"", Location=target))
    failure = refusal(lambda: engine.login(asked, HOST, CREDENTIAL)).failure
    assert failure.reason is Reason.INVALID
    assert failure.message == f"the engine at {asked.url} redirects ({status})"
    assert asked_there == []


def test_a_login_that_the_engine_takes(serve: Serve) -> None:
    asked, calls = serve(lambda script: script.answer(200, b'{"Status": "Login Succeeded"}'))
    engine.login(asked, HOST, CREDENTIAL)
    assert calls[-1] == ("POST", "/v1.44/auth")


def test_a_login_that_the_registry_refuses_says_so_and_quotes_nothing(serve: Serve) -> None:
    text = json.dumps({"message": f"401 Unauthorized: {CREDENTIAL.secret.reveal()}"}).encode()
    asked, _ = serve(lambda script: script.answer(500, text))
    failure = refusal(lambda: engine.login(asked, HOST, CREDENTIAL)).failure
    assert failure.reason is Reason.DENIED
    assert failure.message.endswith("the registry refused the token")


def test_an_engine_elsewhere_is_asked_through_the_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, asked = serve(endless)
    monkeypatch.setenv("http_proxy", proxy.url.replace("tcp:", "http:"))
    assert engine.version(Engine("tcp://engine.invalid:2375")) == "Docker 25.0, API 1.44"
    assert asked
    assert all(path.startswith("http://engine.invalid:2375/") for _, path in asked)
