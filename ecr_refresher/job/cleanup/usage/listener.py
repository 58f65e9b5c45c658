"""The child that lives as long as the daemon: it hears the engine's events and writes down last uses, nothing else."""

import contextlib
import gc
import queue
import select
import threading
import time
from collections.abc import Callable

from .... import logs
from ....core import budgets, wire
from ....core.model import Failed, Failure, Reason
from ....core.plan import Cleanup
from ...aws.clock import AwsClock
from ...net import engine
from .hearing import Hearing
from .last_use import ENGINE_KEEPS, History
from .state_file import SAVE_WITHIN_S, StateFile

PAUSE_FIRST_S, PAUSE_MAX_S = 0.5, 30.0
SAVE_AFTER = ENGINE_KEEPS // 4  # events, if many come at once: a reader must find the rest among the engine's kept ones
TIMEOUT_S = 30
GARBAGE = (700, 10, 10)  # Python's own thresholds: other workers look for garbage seldom, since they soon end


def listen(rules: Cleanup, clock: AwsClock, report: wire.Report, pause: Callable[[float], None] = time.sleep) -> None:
    """Hear events until killed; after a lost connection it connects again, without end."""
    listener, tries = Listener(rules, clock, report), 0
    while True:
        failure = listener.hear()
        tries = 0 if listener.heard else tries + 1
        report(wire.Hindered("events", failure))
        logs.get().warning("events_ended", **failure.fields)
        pause(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0 ** min(tries, 10)))


def end_with_reader(descriptor: int, end: Callable[[], None]) -> None:
    """Call `end` once nobody reads the pipe any more: the supervisor is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # poll reports a pipe's error unasked

    def wait() -> None:
        poll.poll()
        end()

    threading.Thread(target=wait, name="orphan", daemon=True).start()


class Listener:
    """Listens, with a memory that outlives each connection."""

    def __init__(self, rules: Cleanup, clock: AwsClock, report: wire.Report) -> None:
        self._rules, self._clock, self._report = rules, clock, report
        self._history: History | None = None
        self._held = False
        self._trouble = ""
        self.heard = False  # whether the last connection worked

    def hear(self) -> Failure:
        """Connect and listen until the engine ends it; returns why."""
        self.heard = False
        try:
            with engine.connected(self._rules.engine, TIMEOUT_S, budgets.ENGINE_LIST_MAX) as api:
                known = self._history
                if known is None:
                    with contextlib.suppress(Failed):  # reported when it is written
                        known, _ = StateFile(self._rules.state_file).load()
                with Hearing(api, self._clock, known, held=self._held) as hearing:
                    self._held = False
                    self._hear(hearing)
                    # Podman may be used while its API is down, and then sends no event.
                    self._history, self._held = hearing.remembered(), not hearing.engine.podman
            what = f"the engine at {self._rules.engine.url} ended its events"
            return Failure(Reason.TRANSIENT, what, "See whether the engine restarted (journalctl -u docker)")
        except Failed as failed:
            return failed.failure

    def _hear(self, hearing: Hearing) -> None:
        self._save(hearing)
        self._report(wire.Listening())
        logs.get().info("events_heard", images=len(hearing.index.ids))
        self.heard = True
        hearing.images.clear()  # the index has all that is needed
        hearing.containers.clear()
        ended, unsaved, save_by = False, 0, 0.0
        while not ended:
            before = hearing.history
            with contextlib.suppress(queue.Empty):
                ended = not hearing.wait(max(0.0, save_by - time.monotonic()) if unsaved else None)
            if hearing.history is not before:
                save_by = save_by if unsaved else time.monotonic() + SAVE_WITHIN_S
                unsaved += 1
            if unsaved and (ended or unsaved >= SAVE_AFTER or time.monotonic() >= save_by):
                self._save(hearing)
                unsaved = 0
        hearing.still_used()

    def _save(self, hearing: Hearing) -> None:
        try:
            hearing.history = StateFile(self._rules.state_file).save(hearing.remembered(), hearing.index.ids.keys())
        except Failed as failed:
            failure = failed.failure
            if failure.message != self._trouble:  # once, not at every use
                self._report(wire.Hindered("state_file", failure))
                logs.get().error("state_file_failed", **failure.fields)
            self._trouble = failure.message
        else:
            self._trouble = ""


def serve(job: wire.Job, report: wire.Report, pipe: int, end: Callable[[], None]) -> None:
    """Do a listener's job; `pipe` leads to the supervisor."""
    if job.plan is None:
        raise ValueError("a listener needs a plan")
    logs.configure(job.plan.log.level, job.plan.log.format)
    gc.set_threshold(*GARBAGE)
    end_with_reader(pipe, end)
    listen(job.plan.cleanup, AwsClock(job.clock_offset), report)
