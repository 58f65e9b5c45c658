"""The thin shell around the pure step: one selector loop for signals, the worker's pipe and the next deadline."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Mapping, Sequence

from .. import __version__, logs
from ..boot_clock import boot_time
from ..core import wire
from ..core.exits import EXIT_FAILED
from ..core.model import witness_of
from ..core.plan import Plan
from . import spawn
from .machine import events
from .machine.state import next_boot, started
from .machine.step import initial, step
from .systemd import Notifier
from .web.http import HttpServer
from .web.pages import Pages
from .workers import READS_ALL, READS_MAX, Overflow, Worker, reap

_ASKED = {
    signal.SIGTERM: events.Asked("stop"),
    signal.SIGINT: events.Asked("stop"),
    signal.SIGHUP: events.Asked("reload"),
    signal.SIGUSR1: events.Asked("refresh"),
}


def run(
    load: wire.Load, worker_argv: Sequence[str], environ: Mapping[str, str], early: spawn.Early | None = None
) -> int:
    """Run the daemon until it is told to end; returns its exit status. `early` is to do the first job."""
    logs.configure(load.log_level or "info", load.log_format or "json")
    return Supervisor(load, worker_argv, environ, early).run()


class Supervisor:
    """Feeds events to the step, and carries out what it says."""

    def __init__(
        self, load: wire.Load, worker_argv: Sequence[str], environ: Mapping[str, str], early: spawn.Early | None = None
    ) -> None:
        self._argv = list(worker_argv)
        self._environ = environ
        self._early = early
        self._state = initial(int.from_bytes(os.urandom(6)), load, boot_time(), time.time(), time.monotonic())
        self._pages = Pages(self._state, boot_time, time.monotonic)
        self._notifier = Notifier(environ, os.getpid())
        self._server: HttpServer | None = None
        self._workers: dict[int | None, Worker] = {}  # by job, the pass's by None
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._wakeup_end = socket.socketpair()
        self._exit_code: int | None = None

    def run(self) -> int:
        self._catch_signals()
        logs.get().info("daemon_started", version=__version__, pid=os.getpid())
        while self._exit_code is None:
            self._apply(events.Turn(time.time(), time.monotonic(), self._witnesses()))
            self._notify()
            if self._exit_code is None:
                self._wait()
        self._notifier.stopping()
        for job in tuple(self._workers):
            self._end_worker(job)
        if self._server is not None:
            self._server.stop()
        signal.set_wakeup_fd(-1)  # what comes while Python ends would find it closed, and be a traceback on stderr
        logs.get().info("daemon_stopped", status=self._exit_code)
        return self._exit_code

    # --- events in ---------------------------------------------------------------------------------------------------
    def _catch_signals(self) -> None:
        """Signals only leave a byte in a socket that the loop watches; nothing runs in a handler."""
        self._wakeup.setblocking(False)
        self._wakeup_end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_end.fileno(), warn_on_full_buffer=False)
        for number in (*_ASKED, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, spawn.HELD_BACK)

    def _wait(self) -> None:
        """Sleep until something happens or the next deadline, and take in what has happened."""
        timeout = max(0.0, next_boot(self._state) - boot_time())
        if self._notifier.watchdog_s is not None:
            timeout = min(timeout, self._notifier.watchdog_s)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wakeup:
                self._take_signals()
            else:
                self._read_worker(key.data)

    def _take_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in sorted(set(self._wakeup.recv(4096))):
                if number == signal.SIGCHLD:
                    self._reap()
                elif number in _ASKED:
                    self._apply(_ASKED[signal.Signals(number)])

    def _read_worker(self, of: int | None, reads: int = READS_MAX) -> None:
        worker = self._workers.get(of)
        if worker is None:
            return
        try:
            for job, line in worker.read(reads):
                self._apply(events.Reported(job, line))
        except EOFError:
            self._selector.unregister(worker.lines)  # the end of its lines; its exit follows
        except (ValueError, Overflow) as error:
            logs.get().error("worker_garbled", reason="internal", error=type(error).__name__)
            self._selector.unregister(worker.lines)
            worker.kill()

    def _reap(self) -> None:
        for pid, how in reap():
            for job, worker in tuple(self._workers.items()):
                if pid == worker.pid:
                    self._end_worker(job)
                    self._apply(events.Exited(how, job))

    def _end_worker(self, of: int | None) -> None:
        """Take the last lines, and end whatever the worker has left behind."""
        worker = self._workers[of]
        worker.kill()
        if worker.lines in self._selector.get_map():
            self._read_worker(of, READS_ALL)
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.lines)
        worker.close()
        del self._workers[of]

    def _witnesses(self) -> dict[str, str]:
        """Look, by their stat alone, at all files whose change matters."""
        plan = self._state.plan
        if plan is None:
            return {}
        paths = {plan.settings_file, *(docker.config_file for docker in plan.dockers)}
        for airflow in plan.airflows:
            paths |= airflow.secret_paths
        return {path: _witness(path) for path in paths if path is not None}

    # --- actions out -------------------------------------------------------------------------------------------------
    def _apply(self, event: events.Event) -> None:
        self._state, actions = step(self._state, event, boot_time())
        self._pages.publish(self._state)
        for action in actions:
            self._act(action)

    def _act(self, action: events.Action) -> None:
        match action:
            case events.Start(job):
                self._start(job)
            case events.Kill(job):
                if job in self._workers:
                    self._workers[job].kill()
            case events.Exit(code, settings_errors):
                logs.tell_settings_errors(settings_errors)
                self._exit_code = code if self._exit_code is None else self._exit_code
            case events.Say(level, event, fields):
                getattr(logs.get(), level)(event, **fields)
            case events.Adopt(plan, first):
                self._adopt(plan, first=first)

    def _start(self, job: wire.Job) -> None:
        key = None if job.kind == "pass" else job.id
        try:
            early, self._early = self._early, None
            worker = self._workers[key] = Worker(self._argv, self._environ, job, early)
        except OSError as error:  # no memory, no processes: tried again like any failed pass
            self._apply(events.Exited(f"it could not be started: {error.strerror}", key))
            return
        self._selector.register(worker.lines, selectors.EVENT_READ, key)

    def _adopt(self, plan: Plan, *, first: bool) -> None:
        logs.configure(plan.log.level, plan.log.format)
        if not first:
            if self._server is not None and self._server.settings != plan.server:
                logs.get().warning("restart_needed", error="'server' has changed, and is bound once: restart to apply")
            return
        self._server = HttpServer(self._pages, plan.server)
        try:
            self._server.start()
        except OSError as error:
            where = f"{plan.server.host}:{plan.server.port}"
            mend = "free it, or choose another with server.listen or ECR_REFRESHER_LISTEN"
            logs.get().error("cannot_listen", error=f"{where}: {error.strerror or type(error).__name__}; {mend}")
            self._exit_code = EXIT_FAILED
            return
        logs.get().info("listening", address=f"{plan.server.host}:{self._server.port}")

    def _notify(self) -> None:
        self._notifier.alive()
        now = boot_time()
        if self._state.stopping:
            self._notifier.stopping()
        elif started(self._state, now):
            self._notifier.ready()


def _witness(path: str) -> str:
    try:
        return witness_of(os.stat(path))
    except FileNotFoundError:
        return witness_of(None)
    except OSError as error:
        return f"error {error.errno}"
