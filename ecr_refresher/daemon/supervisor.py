"""The daemon's one asyncio loop: it makes events of signals, workers and deadlines, and does what the step decides."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from .. import __version__, logs
from ..boot_clock import boot_time
from ..core import wire
from ..core.exits import EXIT_FAILED
from ..core.model import Failure, Reason
from ..core.plan import Plan
from .file_watch import FileWatch
from .machine import events
from .machine.bookings import OUR_FAULT
from .machine.due import next_boot
from .machine.step import initial, step
from .systemd import Notifier
from .web.pages import Pages
from .web.server import WebServer
from .workers import READS_ALL, READS_MAX, Worker, reap

TURN_MIN_S = 0.02  # between turns: report lines that trickle in are booked together
_ASKED = {
    signal.SIGTERM: events.Asked("stop"),
    signal.SIGINT: events.Asked("stop"),
    signal.SIGHUP: events.Asked("reload"),
    signal.SIGUSR1: events.Asked("refresh"),
}


def run(load: wire.Load, worker_argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the daemon until it is asked to stop; returns its exit status."""
    logs.configure(load.log_level or "info", load.log_format or "json")
    return asyncio.run(Supervisor(load, worker_argv, environ).run())


class Supervisor:
    """Feeds events to the step and carries out its actions."""

    def __init__(self, load: wire.Load, worker_argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self._argv = list(worker_argv)
        self._environ = environ
        self._state = initial(int.from_bytes(os.urandom(6)), load, boot_time(), time.time(), time.monotonic())
        self._pages = Pages(self._state, boot_time, time.monotonic)
        self._notifier = Notifier(environ, os.getpid())
        self._files = FileWatch()
        self._server: WebServer | None = None
        self._workers: dict[int | None, Worker] = {}  # by job; the pass's worker by None
        self._woken = asyncio.Event()  # something has happened since the last turn
        self._readable: set[int | None] = set()  # workers that have reported something since then
        self._exit_code: int | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in _ASKED:
            loop.add_signal_handler(number, self._asked, number)
        loop.add_signal_handler(signal.SIGCHLD, self._woken.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKED)  # cli blocks them while the daemon loads
        logs.get().info("daemon_started", version=__version__, pid=os.getpid())
        while self._exit_code is None:
            files = await self._files.look(self._watched())
            self._apply(events.Turn(time.time(), time.monotonic(), files))
            self._notify()
            if self._exit_code is None:
                await self._wait()
                self._take()
        self._notifier.phase("stopping")
        for key in tuple(self._workers):
            self._end_worker(key)
        if self._server is not None:
            await self._server.stop()
        # asyncio removes the handlers now: later signals must not end the process with another status.
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_ASKED, signal.SIGCHLD))
        logs.get().info("daemon_stopped", status=self._exit_code)
        return self._exit_code

    # --- events ------------------------------------------------------------------------------------------------------
    def _asked(self, number: signal.Signals) -> None:
        self._apply(_ASKED[number])
        self._woken.set()

    def _listen(self, key: int | None) -> None:
        """Wake up when the worker has reported something. It is read at the turn, and no more than a turn can take."""
        loop, lines = asyncio.get_running_loop(), self._workers[key].lines

        def readable() -> None:
            loop.remove_reader(lines)
            self._readable.add(key)
            self._woken.set()

        loop.add_reader(lines, readable)

    async def _wait(self) -> None:
        """Sleep until something happens or the next deadline."""
        await asyncio.sleep(TURN_MIN_S)
        timeout = max(0.0, next_boot(self._state) - boot_time())
        if self._notifier.watchdog_s is not None:
            timeout = min(timeout, self._notifier.watchdog_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()

    def _take(self) -> None:
        """Turn what workers did into events."""
        self._woken.clear()
        readable, self._readable = self._readable, set()
        for key in readable & self._workers.keys():
            self._read(key, READS_MAX)
            if not self._workers[key].ended:
                self._listen(key)
        for pid, code in reap():
            for key, worker in tuple(self._workers.items()):
                if worker.pid == pid:
                    how, fix = worker.ending(code)
                    self._end_worker(key)
                    self._apply(events.Exited(how, key, fix))

    def _read(self, key: int | None, reads: int) -> None:
        worker = self._workers[key]
        lines = worker.read(reads)
        for job, batch in groupby(lines, key=itemgetter(0)):
            self._apply(events.Reported(job, tuple(line for _, line in batch)))
        if worker.fault is not None:
            failure = Failure(Reason.INTERNAL, f"a worker reported {worker.fault}", OUR_FAULT)
            logs.get().error("worker_garbled", **failure.fields)
            worker.fault = None
            worker.kill()

    def _end_worker(self, key: int | None) -> None:
        """Kill what the worker has left behind, and take its last lines."""
        worker = self._workers[key]
        worker.kill()
        asyncio.get_running_loop().remove_reader(worker.lines)
        self._read(key, READS_ALL)
        worker.close()
        del self._workers[key]

    def _watched(self) -> set[str]:
        plan = self._state.plan
        paths = {plan.settings_file, *(docker.config_file for docker in plan.dockers)}
        paths.update(*(airflow.secret_paths for airflow in plan.airflows))
        return {path for path in paths if path is not None}

    # --- actions -----------------------------------------------------------------------------------------------------
    def _apply(self, event: events.Event) -> None:
        self._state, actions = step(self._state, event, boot_time())
        self._pages.state = self._state
        for action in actions:
            match action:
                case events.Start(job):
                    self._start(job)
                case events.Kill(job):
                    if job in self._workers:
                        self._workers[job].kill()
                case events.Exit(code, settings_errors):
                    logs.tell_settings_errors(settings_errors)
                    self._exit_code = code if self._exit_code is None else self._exit_code
                case events.Say(level, name, fields):
                    getattr(logs.get(), level)(name, **fields)
                case events.Adopt(plan):
                    self._adopt(plan)

    def _start(self, job: wire.Job) -> None:
        key = None if job.kind == "pass" else job.id
        try:
            self._workers[key] = Worker(self._argv, self._environ, job)
        except OSError as error:
            fix = "See that Python is where it was, and that the host has memory and processes left"
            self._apply(events.Exited(f"it could not be started: {error.strerror}", key, fix))
            return
        self._listen(key)

    def _adopt(self, plan: Plan) -> None:
        logs.configure(plan.log.level, plan.log.format)
        if self._server is not None:
            if self._server.settings != plan.server:
                error = "'server' has changed, but the address in use stays"
                logs.get().warning("restart_needed", error=error, fix="Restart the daemon to apply it")
            return
        try:
            self._server = WebServer(self._pages, plan.server)
        except OSError as error:
            where = f"{plan.server.host}:{plan.server.port}"
            fix = "Free it, or choose another with server.listen or ECR_REFRESHER_LISTEN"
            logs.get().error("cannot_listen", error=f"{where}: {error.strerror or type(error).__name__}", fix=fix)
            self._exit_code = EXIT_FAILED
            return
        logs.get().info("listening", address=f"{plan.server.host}:{self._server.port}")

    def _notify(self) -> None:
        self._notifier.alive()
        if self._state.stopping:
            self._notifier.phase("stopping")
        elif self._state.reloading:
            self._notifier.phase("reloading")
        elif self._state.started(boot_time()):
            self._notifier.phase("ready")
