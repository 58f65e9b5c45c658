"""Trying the legs: in order of what stands on what, all else side by side, each with its own time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ... import logs
from ...core.model import Failed, Failure, Reason
from .findings import Finding, Row, Verdict, of_failure, softened

LIMIT_S = 15.0
THREADS = 32
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Leg:
    """One thing to try: `act` blocks, raises Failed, and changes nothing anywhere.

    Legs in `after` must not have failed; those in `waits_for` must only have ended, however they did.
    """

    name: str
    subject: str
    tried: str
    act: Callable[[], Sequence[Finding]]
    after: tuple[Key, ...] = ()
    waits_for: tuple[Key, ...] = ()
    limit_s: float = LIMIT_S
    required: bool = True

    @property
    def key(self) -> Key:
        return self.name, self.subject


def try_all(legs: Sequence[Leg], done: Sequence[Row] = ()) -> list[Row]:
    """Try them; gives a row for each, in their order. `done` are rows of before that legs may stand on."""
    return asyncio.run(_try_all(legs, done))


async def _try_all(legs: Sequence[Leg], done: Sequence[Row]) -> list[Row]:
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="leg")
    tasks: dict[Key, asyncio.Task[Row]] = {}
    before = {(row.leg, row.subject): row for row in done}

    async def try_one(leg: Leg) -> Row:
        ended = {key: await tasks[key] for key in (*leg.after, *leg.waits_for) if key in tasks}
        for key in leg.after:
            row = ended.get(key) or before.get(key)
            if row is not None and row.verdict in (Verdict.FAILED, Verdict.NOT_TRIED):
                return Row(leg.name, leg.subject, leg.tried, (_not_tried(row),))
        began = time.monotonic()
        findings = await _act(leg, pool)
        return Row(leg.name, leg.subject, leg.tried, findings, round(time.monotonic() - began, 3))

    for leg in legs:
        tasks[leg.key] = asyncio.ensure_future(try_one(leg))
    rows = [await tasks[leg.key] for leg in legs]
    pool.shutdown(wait=False, cancel_futures=True)
    return [row if leg.required else softened(row) for leg, row in zip(legs, rows, strict=True)]


async def _act(leg: Leg, pool: ThreadPoolExecutor) -> tuple[Finding, ...]:
    running = asyncio.get_running_loop().run_in_executor(pool, leg.act)
    try:
        return tuple(await asyncio.wait_for(running, leg.limit_s))
    except TimeoutError:
        late = Failure(Reason.TRANSIENT, f"no answer within {leg.limit_s:.0f} s; see what hangs, and try again")
        return (of_failure(late),)
    except Failed as error:
        return (of_failure(error.failure),)
    except Exception as error:  # noqa: BLE001 - told by type and place; one leg's trouble never becomes another's
        return (of_failure(logs.fault_of(error)),)


def _not_tried(row: Row) -> Finding:
    """Why: the leg that failed, however far back."""
    if row.verdict is Verdict.NOT_TRIED:
        return next(finding for finding in row.findings if finding.verdict is Verdict.NOT_TRIED)
    return Finding(Verdict.NOT_TRIED, f"stands on '{row.leg}' of {row.subject}, which failed")
