"""The worker process as the supervisor sees it, with small real scripts as children."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher import memory
from ecr_refresher.core import wire
from ecr_refresher.core.exits import EXIT_MEMORY
from ecr_refresher.core.plan import Airflow, Connection, Plan, Principal, Registry
from ecr_refresher.daemon import workers
from ecr_refresher.daemon.workers import Worker
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
    """Everything that the worker says until the end, or until it makes no sense."""
    found: list[tuple[int, wire.Line]] = []
    while not worker.ended:
        arrives(worker)
        found += worker.read()
    return found


def test_all_that_a_dead_worker_has_left_is_read_however_much_its_pipe_holds(start: Start) -> None:
    worker = start("""
        import fcntl, os
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)  # as it is where pages have 64 KiB
        for number in range(6000):
            os.write(1, b'{"job": 7, "line": {"type": "done"}}' + b" " * 100 + bytes([10]))
        """)
    os.waitpid(worker.pid, 0)
    assert worker.read(workers.READS_ALL) == [(7, wire.Done())] * 6000


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
    assert size > 500_000
    worker = start(SAY + """say('{"job": %d, "line": {"type": "done"}}\\n' % len(sys.stdin.buffer.read()))""", job)
    assert lines_of(worker) == [(size, wire.Done())]


def test_a_read_never_waits(start: Start) -> None:
    worker = start("import time; time.sleep(600)")
    assert worker.read() == []


def test_last_words_are_read_before_the_end_is_told(start: Start) -> None:
    worker = start(SAY + """say('{"job": 7, "line": {"type": "done"}}\\n')""")
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert worker.read() == [(7, wire.Done())]
    assert (worker.ended, worker.fault) == (True, None)


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
def test_garbage_ends_the_report(start: Start, text: str) -> None:
    worker = start(SAY + f"say('{text}')\nimport time; time.sleep(600)")
    assert lines_of(worker) == []
    assert worker.fault
    assert "not a report line" in worker.fault


def test_what_is_wrong_is_told_without_what_was_said(start: Start) -> None:
    worker = start(SAY + """say('{"job": 7, "line": {"type": "clock", "offset": "a-secret"}}\\n')""")
    assert lines_of(worker) == []
    assert worker.fault
    assert "secret" not in worker.fault


def test_lines_before_garbage_in_the_same_breath_count(start: Start) -> None:
    worker = start(
        SAY + """say('{"job": 7, "line": {"type": "done"}}\\nhello\\n{"job": 7, "line": {"type": "clock"}}\\n')"""
    )
    assert lines_of(worker) == [(7, wire.Done())]
    assert worker.fault


def test_a_line_without_end_is_too_much(start: Start) -> None:
    worker = start(SAY + "while True: say('x' * 65536)")
    assert lines_of(worker) == []
    assert f"more than {wire.LINE_MAX} bytes" in str(worker.fault)


def test_lines_without_end_are_too_much(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TOTAL_MAX", 200_000)
    worker = start(SAY + """while True: say('{"job": 7, "line": {"type": "done"}}\\n' * 1000)""")
    assert 0 < len(lines_of(worker)) < 10_000
    assert "200000 in all" in str(worker.fault)


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
    assert 0 < len(worker.read()) < 20_000, "and then the loop has its turn"


def test_it_leads_its_own_session_and_has_the_environment_it_was_given(start: Start) -> None:
    worker = start(
        SAY
        + """
given = {"A": "b", "LC_CTYPE": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
same = os.getpgrp() == os.getsid(0) == os.getpid() and dict(os.environ) == given
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
    with open(worker.lines, "rb", closefd=False) as report:
        os.set_blocking(worker.lines, True)
        # The pipe ends only when the last of them has let go of it: a grandchild that lived on would keep it open.
        assert report.read() == b"hello\n"


def test_a_grandchild_that_outlives_the_worker_is_ended_with_the_group(start: Start) -> None:
    worker = start("sleep 600 & exit 0", shell=True)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert worker.read() == []
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


REAPS = """
import os
from ecr_refresher.daemon.workers import reap
pids = [os.posix_spawn("/bin/sh", ["sh", "-c", line], {}) for line in ("exit 3", "kill -9 $$", "sleep 600")]
for pid in pids[:2]:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
ended = dict(reap())
assert ended == {pids[0]: 3, pids[1]: -9}, ended
assert reap() == []
os.kill(pids[2], 9)
os.waitid(os.P_PID, pids[2], os.WEXITED | os.WNOWAIT)
assert reap() == [(pids[2], -9)]
assert reap() == []
"""


def test_all_children_that_ended_are_reaped_with_how_and_none_is_waited_for() -> None:
    # In a process of its own: it takes any child, also those of other tests.
    subprocess.run([sys.executable, "-c", REAPS], check=True, timeout=PATIENCE_S)


STARTS_ON_A_TERMINAL = """
import os, pty, sys
from ecr_refresher.core import wire
from ecr_refresher.daemon.workers import Worker
pid, terminal = pty.fork()
if pid == 0:  # this terminal is its own, as a shell's is
    open("/dev/tty").close()
    script = f"if (: </dev/tty); then echo opened; else echo none; fi >{sys.argv[1]} 2>/dev/null"
    worker = Worker(["/bin/sh", "-c", script], {}, wire.Job(7, 1e12))
    os.waitpid(worker.pid, 0)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_it_can_t_open_the_terminal_that_the_daemon_was_started_on(tmp_path: Path) -> None:
    """What it wrote into the terminal's input would be run by the user's shell."""
    found = tmp_path / "found"
    subprocess.run([sys.executable, "-c", STARTS_ON_A_TERMINAL, str(found)], check=True, timeout=PATIENCE_S)
    assert found.read_text() == "none\n"


def test_children_can_t_speak_for_the_daemon() -> None:
    environ = {"PATH": "/bin", "NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2"}
    assert workers.surroundings(environ) == {"PATH": "/bin", "MALLOC_ARENA_MAX": "2"}
    assert workers.surroundings({"MALLOC_ARENA_MAX": "7"}) == {"MALLOC_ARENA_MAX": "7"}, "the user knows better"


# --- how it ended ----------------------------------------------------------------------------------------------------
def test_an_end_is_described_for_people(start: Start) -> None:
    worker = start("pass")
    assert worker.ending(0) == ("exit status 0", "")
    assert worker.ending(2) == ("exit status 2", "")
    assert worker.ending(-15) == ("killed by signal 15", "")
    worker.kill()
    assert worker.ending(-9) == ("killed by signal 9", ""), "by the daemon itself"


def test_its_own_memory_limit_is_named(start: Start) -> None:
    how, fix = start("pass").ending(EXIT_MEMORY)
    assert "memory limit" in how
    assert "Raise the memory limit" in fix


def test_a_kill_by_the_kernel_for_memory_is_named_with_the_figure(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "read", lambda: memory.Memory(160 << 20, 3))
    worker = start("pass")
    monkeypatch.setattr(memory, "read", lambda: memory.Memory(160 << 20, 4))
    assert worker.ending(-9)[0] == "killed by the kernel at the memory limit of 160 MiB"


@pytest.mark.parametrize("kills", [3, None])
def test_a_kill_by_somebody_else_is_not_taken_for_one(
    start: Start, monkeypatch: pytest.MonkeyPatch, kills: int | None
) -> None:
    monkeypatch.setattr(memory, "read", lambda: memory.Memory(None, kills))
    how, fix = start("pass").ending(-9)
    assert how == "killed by signal 9, which ecr-refresher did not send"
    assert "Out of memory" in fix


@pytest.mark.parametrize(
    ("own", "files", "found"),
    [
        (
            "0::/pod/app",
            {"pod/app/memory.max": "167772160", "pod/app/memory.events": "low 0\noom 9\noom_kill 2"},
            (160, 2),
        ),
        ("0::/", {"memory.max": "max", "memory.events": "oom_kill 0"}, (None, 0)),
        ("0::/outside", {"memory.max": "max", "memory.events": "oom_kill 5"}, (None, 5)),
        (
            "5:cpu:/x\n4:memory:/x",
            {"memory/x/memory.limit_in_bytes": "9223372036854771712", "memory/x/memory.oom_control": "oom_kill 1"},
            (None, 1),
        ),
        (
            "4:memory:/host",
            {"memory/memory.limit_in_bytes": "1048576", "memory/memory.oom_control": "oom_kill 1"},
            (1, 1),
        ),
        (
            "4:memory:/x",
            {"memory/x/memory.limit_in_bytes": "1", "memory/x/memory.oom_control": "under_oom 0"},
            (None, None),
        ),
        ("0::/x", {"x/memory.max": "1", "x/memory.events": "oom_kill"}, (None, None)),
        ("nonsense", {}, (None, None)),
    ],
)
def test_the_limit_and_the_kills_of_a_control_group(
    tmp_path: Path, own: str, files: dict[str, str], found: tuple[int | None, int | None]
) -> None:
    (tmp_path / "own").write_text(own + "\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    limit, kills = memory.read(str(tmp_path), str(tmp_path / "own"))
    assert (limit and limit >> 20, kills) == found
