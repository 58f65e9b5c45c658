"""A child of the crew: fetches and proves what it is asked for, many at a time, until its line is closed."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, Protocol

from ... import logs
from ...core.model import Credential, Failed, Reason
from ...core.plan import Principal, Registry
from ..net.proof import Refused
from .clock import AwsClock


class Calls(Protocol):
    """What a child does."""

    clock: AwsClock

    def fetch(self, principal: Principal) -> Credential: ...
    def prove(self, registry: Registry, credential: Credential) -> None: ...


def live(
    calls: Calls,
    registries: Sequence[Registry],
    line: socket.socket,
    unwanted: Sequence[socket.socket],
    *,
    fetches: int,
    proofs: int,
) -> NoReturn:
    """Do what is asked on this line until it is closed, and end: so many fetches and so many proofs side by side.

    `unwanted` are the parent's ends of all lines, which a fork inherits: none would ever be closed while this one
    holds them open.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end closes the line
        for other in unwanted:
            other.close()
        calls.clock.keep_quiet()  # the parent tells what it learns, in one voice
        child = Child(calls, registries, line)
        fetching, proving = ThreadPoolExecutor(fetches), ThreadPoolExecutor(proofs)  # fetches don't hold up proofs
        with line.makefile("rb") as requests:
            for request in map(json.loads, requests):
                (fetching if "fetch" in request else proving).submit(child.answer, request)
    finally:
        os._exit(0)  # what is still under way is of no use to anybody


class Child:
    """Answers requests; keeps what it has fetched, to prove it later."""

    def __init__(self, calls: Calls, registries: Sequence[Registry], line: socket.socket) -> None:
        self._calls, self._registries, self._line = calls, registries, line
        self._sending = threading.Lock()
        self._fetched: dict[int, Credential] = {}

    def answer(self, request: dict[str, Any]) -> None:
        """Do one thing, and say what came of it."""
        answer = {"number": request["number"], "offset": None, **self._done(request)}
        if self._calls.clock.measured:
            answer["offset"] = self._calls.clock.offset
        text = json.dumps(answer).encode() + b"\n"
        with self._sending:
            self._line.sendall(text)

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if "fetch" in request:
                return self._fetch(request["number"], self._registries[request["fetch"]].principal)
            self._calls.prove(self._registries[request["prove"]], self._fetched[request["of"]])
        except Refused:
            return {"refused": True}
        except Failed as error:
            return {"reason": error.failure.reason, "message": error.failure.message}
        except Exception as error:  # noqa: BLE001 - told by its place only: its text might quote what was read
            return {"reason": Reason.INTERNAL, "message": logs.place_of(error)}
        return {}

    def _fetch(self, number: int, principal: Principal) -> dict[str, Any]:
        credential = self._fetched[number] = self._calls.fetch(principal)
        return {
            "username": credential.username,
            "password": credential.secret.reveal(),
            "issued_at": credential.issued_at,
            "expires_at": credential.expires_at,
        }
