"""A crew of child processes that fetch and prove, for a pass with so many principals that one core would take long.

A token of a role takes two calls of AWS and a proof, some milliseconds of Python together, and Python's threads share
one core. The calls of a principal all go to one child, which keeps the keys of its roles. The children are forks, made
before there are threads or connections; they end when the line is closed on which they are asked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ... import logs
from ...core.model import Credential, Failed, Reason, Secret
from ...core.plan import Principal, Registry
from ..net.proof import Refused
from . import crew_child
from .crew_child import Calls

WORTH_IT = 250  # principals; fewer take a second or two, which is not worth the memory of children
CHILDREN_MAX = 2  # each takes some 30 MB, and the limits that are documented hold for two
SAME_CLOCK_S = 0.05  # children measure AWS's time each for itself, and no two quite alike
ANSWER_MAX = 1 << 20  # bytes; a token has some thousands


def children_for(principals: int) -> int:
    """How many children so many principals are worth: none, or one for each core."""
    cores = len(os.sched_getaffinity(0))
    return min(cores, CHILDREN_MAX) if principals >= WORTH_IT and cores > 1 else 0


class Crew:
    """The children of one pass; they do what they are asked while it is entered, and end with it.

    What fails there is raised here as it was.
    """

    def __init__(
        self, calls: Calls, registries: Sequence[Registry], children: int, *, fetches: int, proofs: int
    ) -> None:
        """Fork them; so many fetches and proofs are made side by side, in all. There must be neither threads nor
        connections yet.

        `registries` are all that may be asked for. Raises OSError where there may be no more processes.
        """
        self._clock = calls.clock
        # Children know them as well, so what is asked for is told by its place among them.
        self._place = {registry: place for place, registry in enumerate(registries)}
        self._place_of_principal = {registry.principal: place for place, registry in enumerate(registries)}
        self._children: list[int] = []
        self._lines: list[socket.socket] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._listening: list[asyncio.Task[None]] = []
        self._gone: set[int] = set()
        self._asked = 0
        self._waiting: dict[int, tuple[int, asyncio.Future[dict[str, Any]]]] = {}  # request -> child, its answer
        self._fetched: dict[Credential, int] = {}  # by which request
        try:
            for _ in range(children):
                ours, theirs = socket.socketpair()
                self._lines.append(ours)
                with theirs:
                    child = os.fork()
                    if child == 0:
                        each = {"fetches": max(1, fetches // children), "proofs": max(1, proofs // children)}
                        crew_child.live(calls, registries, theirs, self._lines, **each)
                self._children.append(child)
        except OSError:
            self._end()
            raise

    async def __aenter__(self) -> Crew:
        for child, line in enumerate(self._lines):
            reader, writer = await asyncio.open_connection(sock=line, limit=ANSWER_MAX)
            self._writers.append(writer)
            self._listening.append(asyncio.ensure_future(self._listen(child, reader)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for listening in self._listening:
            listening.cancel()
        for writer in self._writers:
            writer.transport.abort()
        self._end()

    async def fetch(self, principal: Principal) -> Credential:
        """As `ecr.fetch`."""
        number, told = await self._ask(principal, {"fetch": self._place_of_principal[principal]})
        username, password = told["username"], logs.hide(Secret(told["password"]))
        logs.hide(Secret(base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()))
        credential = Credential(username, password, told["issued_at"], told["expires_at"])
        self._fetched[credential] = number
        return credential

    async def prove(self, registry: Registry, credential: Credential) -> None:
        """As `registry.prove`, of a credential that was fetched here."""
        await self._ask(registry.principal, {"prove": self._place[registry], "of": self._fetched[credential]})

    async def _ask(self, principal: Principal, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Have the principal's child do it: the request's number, and the answer. Raises Failed, or Refused."""
        child = _whose(principal) % len(self._children)
        if child in self._gone:
            raise _has_ended()
        self._asked += 1
        number, answered = self._asked, asyncio.get_running_loop().create_future()
        self._waiting[number] = child, answered
        self._writers[child].write(json.dumps({"number": number, **request}).encode() + b"\n")
        answer = await answered
        offset = answer["offset"]
        if offset is not None and (self._clock.offset is None or abs(self._clock.offset - offset) > SAME_CLOCK_S):
            self._clock.adopt(offset)
        if "refused" in answer:
            raise Refused
        if "reason" in answer:
            raise Failed(Reason(answer["reason"]), answer["message"])
        return number, answer

    async def _listen(self, child: int, reader: asyncio.StreamReader) -> None:
        """Hand answers to those who wait for them; at a child's early end, tell all who wait for it."""
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                answer = json.loads(line)
                _, answered = self._waiting.pop(answer["number"])
                if not answered.done():  # who has waited for too long is gone
                    answered.set_result(answer)
        self._gone.add(child)
        for of, answered in self._waiting.values():
            if of == child and not answered.done():
                answered.set_exception(_has_ended())

    def _end(self) -> None:
        """End the children, whatever they still do."""
        for line in self._lines:
            line.close()
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _has_ended() -> Failed:
    return Failed(Reason.INTERNAL, "the process that was to ask AWS has ended; the kernel's log says if it was killed")


def _whose(principal: Principal) -> int:
    """The same number for all that share keys: those of one profile's chain of roles, whatever the region.

    Not of its first role alone: that may be a hub which all chains go by. Each child takes that one on by itself.
    """
    which = repr((principal.profile, principal.roles or principal.region))
    return int.from_bytes(hashlib.sha256(which.encode()).digest()[:8])  # no CRC, whose bits follow those of the text
