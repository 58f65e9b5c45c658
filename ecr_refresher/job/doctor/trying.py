"""Tries legs side by side, each after the legs that it builds on, each with its own time limit."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...core import budgets
from ..blocking import BlockingCalls, failure_of
from .findings import Finding, Row, Verdict, of_failure, softened

Key = tuple[str, str]
NAMED = 2  # legs that are being tried


@dataclass(frozen=True, slots=True)
class Leg:
    """One thing to try. `act` blocks, raises Failed, and changes nothing anywhere.

    It is not tried if a leg in `after` has failed; legs in `waits_for` must only have ended.
    """

    name: str
    subject: str
    tried: str
    act: Callable[[], Iterable[Finding]]
    after: tuple[Key, ...] = ()
    waits_for: tuple[Key, ...] = ()
    limit_s: float = budgets.LEG_S
    required: bool = True
    server: str = "leg"  # legs that must not run side by side without a bound name one, and how many may
    at_once: int = budgets.LEGS

    @property
    def key(self) -> Key:
        return self.name, self.subject


def try_all(legs: Sequence[Leg], done: Sequence[Row] = (), say: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Try the legs; returns a row for each, in their order. `done` are rows of legs that were tried before.

    `say` gets a text: which legs are being tried, and how many have been.
    """
    return asyncio.run(_try_all(legs, done, say))


async def _try_all(legs: Sequence[Leg], done: Sequence[Row], say: Callable[[str], None]) -> list[Row]:
    ends_at = time.monotonic() + budgets.LEGS_S
    calls = BlockingCalls(lambda: ends_at - time.monotonic(), "the check", "check a part of the settings at a time")
    before = {(row.leg, row.subject): row for row in done}
    tasks: dict[Key, asyncio.Task[Row]] = {}
    trying: dict[Key, None] = {}  # in their order

    def tell() -> None:
        tried = sum(task.done() for task in tasks.values())
        names = [f"{name} of {subject}" for name, subject in trying]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        say(f"tried {tried} of {len(legs)}, now {', '.join(names[:NAMED])}{more}")

    async def try_one(leg: Leg) -> Row:
        ended = {key: await tasks[key] for key in (*leg.after, *leg.waits_for) if key in tasks}
        for key in leg.after:
            row = ended.get(key) or before.get(key)
            if row is not None and row.verdict in (Verdict.FAILED, Verdict.NOT_TRIED):
                # Names the leg that failed, however many legs before.
                earlier = (finding for finding in row.findings if finding.verdict is Verdict.NOT_TRIED)
                why = next(earlier, Finding(Verdict.NOT_TRIED, f"'{row.leg}' of {row.subject} failed"))
                return Row(leg.name, leg.subject, leg.tried, (why,))
        began = time.monotonic()
        trying[leg.key] = None
        tell()
        try:
            findings = await calls.run(leg.server, leg.at_once, leg.limit_s, lambda: tuple(leg.act()))
        except Exception as error:  # noqa: BLE001 - one leg's trouble never becomes another's
            findings = (of_failure(failure_of(error)),)
        del trying[leg.key]
        return Row(leg.name, leg.subject, leg.tried, findings, round(time.monotonic() - began, 3))

    for leg in legs:
        tasks[leg.key] = asyncio.ensure_future(try_one(leg))
    rows = [await tasks[leg.key] for leg in legs]
    return [row if leg.required else softened(row) for leg, row in zip(legs, rows, strict=True)]
