"""The worker process as the supervisor sees it, with small real scripts as children."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import selectors
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher.core import wire
from ecr_refresher.core.plan import Airflow, Connection, Plan, Principal, Registry
from ecr_refresher.daemon import spawn, supervisor, workers
from ecr_refresher.daemon.machine import events
from ecr_refresher.daemon.workers import Overflow, Worker
from tests.testbed.processes import wait_until

JOB = wire.Job(7, 1e12)
PATIENCE_S = 30.0
Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("print(…)", job=…)`: a worker that runs these lines of Python, or of the shell."""
    started: list[Worker] = []

    def begin(lines: str, job: wire.Job = JOB, *, shell: bool = False, **environ: str) -> Worker:
        argv = ["/bin/sh", "-c", lines] if shell else [sys.executable, "-I", "-c", textwrap.dedent(lines)]
        started.append(Worker(argv, environ, job))
        return started[-1]

    yield begin
    for worker in started:
        worker.kill()
        worker.close()
        with contextlib.suppress(ChildProcessError):  # the test has waited for it
            os.waitpid(worker.pid, 0)


def arrives(worker: Worker) -> None:
    assert select.select([worker.lines], [], [], PATIENCE_S)[0], "nothing came"


def lines_of(worker: Worker) -> list[tuple[int, wire.Line]]:
    """Everything that the worker says until the end."""
    found: list[tuple[int, wire.Line]] = []
    while True:
        arrives(worker)
        try:
            for line in worker.read():
                found.append(line)  # noqa: PERF402 - those before an end count
        except EOFError:
            return found


def test_all_that_a_dead_worker_has_left_is_read_however_much_its_pipe_holds(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start("""
        import fcntl, os
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)  # as it is where pages have 64 KiB
        for number in range(6000):
            os.write(1, b'{"job": 7, "line": {"type": "done"}}' + b" " * 100 + bytes([10]))
        """)
    os.waitpid(worker.pid, 0)
    told: list[events.Event] = []
    daemon = supervisor.Supervisor(wire.Load(None), [], {})
    monkeypatch.setattr(daemon, "_apply", told.append)
    daemon._workers[7] = worker
    daemon._selector.register(worker.lines, selectors.EVENT_READ, 7)
    monkeypatch.setattr(worker, "close", lambda: None)  # the fixture does
    daemon._end_worker(7)
    for used in (daemon._selector, daemon._wakeup, daemon._wakeup_end):
        used.close()
    assert told == [events.Reported(7, wire.Done())] * 6000


SAY = """
import os, sys
def say(text): os.write(1, text.encode())
"""


def test_it_gets_its_job_and_its_lines_are_read_as_they_come(start: Start) -> None:
    worker = start(
        SAY
        + """
job = sys.stdin.read()
say('{"job": 7, "line": {"type": "clock", "offset": 1.5, "skew": 0}}\\n{"job": 7, "li')
sys.stdin.close()
say('ne": {"type": "done"}}\\n')
"""
    )
    assert lines_of(worker) == [(7, wire.Clock(1.5, 0.0)), (7, wire.Done())]


def test_a_job_larger_than_any_pipe_arrives_whole_before_anybody_reads(start: Start) -> None:
    connections = tuple(Connection(f"docker_{number}", "h") for number in range(20_000))
    plan = Plan((Registry("h", "h", Principal("ecr", "us-east-1")),), (Airflow("a", "https://a", connections),))
    job = wire.Job(7, 1e12, plan=plan)
    size = len(wire.dump_job(job))
    assert size > 1_000_000
    worker = start(SAY + """say('{"job": %d, "line": {"type": "done"}}\\n' % len(sys.stdin.buffer.read()))""", job)
    assert lines_of(worker) == [(size, wire.Done())]


def test_a_read_never_waits(start: Start) -> None:
    worker = start("import time; time.sleep(600)")
    assert list(worker.read()) == []


def test_last_words_are_read_before_the_end_is_told(start: Start) -> None:
    worker = start(SAY + """say('{"job": 7, "line": {"type": "done"}}\\n')""")
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    lines = worker.read()
    assert next(lines) == (7, wire.Done())
    with pytest.raises(EOFError):
        next(lines)


@pytest.mark.parametrize(
    "text",
    [
        "hello\\n",
        "{}\\n",
        "\\n",
        '{"job": 7, "done": {}\\n',
        '{"job": 7, "fetched": {}}\\n',
        "\\xff\\xfe\\n",
        "[" * 9999 + "\\n",
    ],
)
def test_garbage_is_a_value_error(start: Start, text: str) -> None:
    worker = start(SAY + f"say('{text}')")
    arrives(worker)
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is, the worker has gone mad
        lines_of(worker)


def test_lines_before_garbage_in_the_same_breath_count(start: Start) -> None:
    worker = start(
        SAY + """say('{"job": 7, "line": {"type": "done"}}\\nhello\\n{"job": 7, "line": {"type": "done"}}\\n')"""
    )
    arrives(worker)
    lines = worker.read()
    assert next(lines) == (7, wire.Done())
    with pytest.raises(ValueError, match="Expecting value"):
        next(lines)


def test_a_line_without_end_is_an_overflow(start: Start) -> None:
    worker = start(SAY + "while True: say('x' * 65536)")
    with pytest.raises(Overflow):
        lines_of(worker)


def test_lines_without_end_are_an_overflow(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TOTAL_MAX", 200_000)
    worker = start(SAY + """while True: say('{"job": 7, "line": {"type": "done"}}\\n' * 1000)""")
    with pytest.raises(Overflow):
        lines_of(worker)


def test_a_flood_is_taken_in_portions(start: Start) -> None:
    worker = start(
        SAY
        + """
import fcntl
fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)  # so that there is more of it than is taken, however slow it comes
while True: say('{"job": 7, "line": {"type": "done"}}\\n' * 1000)
"""
    )

    def come() -> int:
        return int.from_bytes(fcntl.ioctl(worker.lines, termios.FIONREAD, bytes(4)), sys.byteorder)

    wait_until(lambda: come() > 500_000, PATIENCE_S, "a flood")
    assert 0 < len(list(worker.read())) < 10_000, "and then the loop has its turn"


def test_it_leads_its_own_process_group_and_has_the_environment_it_was_given(start: Start) -> None:
    worker = start(
        SAY
        + """
given = {"A": "b", "LC_CTYPE": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
same = os.getpgrp() == os.getpid() and dict(os.environ) == given
say('{"job": %d, "line": {"type": "done"}}\\n' % same)
""",
        A="b",
        LC_CTYPE="C.UTF-8",
    )
    assert lines_of(worker) == [(1, wire.Done())]


def test_it_inherits_neither_the_job_nor_the_pipe_a_second_time(start: Start) -> None:
    worker = start(
        SAY
        + """
def names(numbers):
    for number in numbers:
        try: yield os.readlink(f"/proc/self/fd/{number}")
        except OSError: pass
ours = set(names([0, 1]))
say('{"job": %d, "line": {"type": "done"}}\\n' % len(ours & set(names(range(3, 1000)))))
"""
    )
    assert lines_of(worker) == [(0, wire.Done())]


def test_a_kill_ends_what_the_worker_has_started_too(start: Start) -> None:
    worker = start("sleep 600 & sleep 600 & echo hello; wait", shell=True)
    arrives(worker)
    worker.kill()
    with pytest.raises(ValueError, match="Expecting value"):
        list(worker.read())  # "hello"
    # The pipe ends only when the last of them has let go of it: a grandchild that lived on would keep it open.
    assert lines_of(worker) == []


def test_a_grandchild_that_outlives_the_worker_is_ended_with_the_group(start: Start) -> None:
    worker = start("sleep 600 & exit 0", shell=True)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert list(worker.read()) == []
    worker.kill()
    assert lines_of(worker) == []


def test_killing_one_that_is_gone_is_no_trouble(start: Start) -> None:
    worker = start("true", shell=True)
    os.waitpid(worker.pid, 0)
    worker.kill()


def test_a_program_that_is_not_there_leaves_nothing_open() -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="No such file"):
        Worker(["/nowhere/python"], {}, JOB)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize(("code", "text"), [(0, "exit status 0"), (2, "exit status 2"), (-9, "killed by signal 9")])
def test_an_end_is_described_for_people(code: int, text: str) -> None:
    assert workers.describe(code) == text


REAPS = """
import os
from ecr_refresher.daemon.workers import reap
pids = [os.posix_spawn("/bin/sh", ["sh", "-c", line], {}) for line in ("exit 3", "kill -9 $$", "sleep 600")]
for pid in pids[:2]:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
ended = dict(reap())
assert ended == {pids[0]: "exit status 3", pids[1]: "killed by signal 9"}, ended
assert reap() == []
os.kill(pids[2], 9)
os.waitid(os.P_PID, pids[2], os.WEXITED | os.WNOWAIT)
assert reap() == [(pids[2], "killed by signal 9")]
assert reap() == []
"""


def test_all_children_that_ended_are_reaped_with_how_and_none_is_waited_for() -> None:
    # In a process of its own: it takes any child, also those of other tests.
    subprocess.run([sys.executable, "-c", REAPS], check=True, timeout=PATIENCE_S)


# --- started early ---------------------------------------------------------------------------------------------------
READS_ITS_JOB = [sys.executable, "-I", "-c", "import sys; print(len(sys.stdin.read()), flush=True)"]


def test_one_that_was_started_early_gets_its_job_when_there_is_one() -> None:
    early = spawn.start_early(READS_ITS_JOB, {})
    assert early is not None
    worker = Worker(["/nowhere/python"], {}, JOB, early)
    arrives(worker)
    assert os.read(worker.lines, 100) == f"{len(wire.dump_job(JOB))}\n".encode()
    worker.close()
    assert os.waitpid(worker.pid, 0)[1] == 0


def test_one_that_was_started_early_sees_the_end_if_it_is_never_needed() -> None:
    worker = [sys.executable, "-P", "-m", "ecr_refresher", "worker"]
    program = f"from ecr_refresher.daemon import spawn; print(spawn.start_early({worker!r}, {{}}).pid)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    wait_until(lambda: not Path(f"/proc/{done.stdout.strip()}").exists(), PATIENCE_S, "the worker's end")
    assert done.stderr == ""


def test_one_that_has_died_early_is_an_os_error_and_leaves_no_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    early = spawn.start_early(["/bin/false"], {})
    assert early is not None
    os.waitpid(early.pid, 0)
    with pytest.raises(BrokenPipeError):
        Worker(["/nowhere/python"], {}, JOB, early)
    assert set(os.listdir("/proc/self/fd")) == before


def test_where_none_can_be_started_early_it_is_tried_again_later() -> None:
    before = set(os.listdir("/proc/self/fd"))
    assert spawn.start_early(["/nowhere/python"], {}) is None
    assert set(os.listdir("/proc/self/fd")) == before


def test_children_can_t_speak_for_the_daemon() -> None:
    environ = {"PATH": "/bin", "NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2"}
    assert spawn.surroundings(environ) == {"PATH": "/bin", "MALLOC_ARENA_MAX": "2"}
    assert spawn.surroundings({"MALLOC_ARENA_MAX": "7"}) == {"MALLOC_ARENA_MAX": "7"}, "the user knows better"
