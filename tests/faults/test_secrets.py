"""Where no secret may be: the supervisor's memory, and the arguments and environment of its children."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from signal import SIGUSR1

from tests.faults.conftest import PASSWORD, World, children
from tests.testbed.daemon import AWS_SECRET_KEY
from tests.testbed.processes import wait_until


def memory_of(pid: int) -> bytes:
    """All of a process's private, readable memory."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if region is None:
                continue
            start, end = (int(bound, 16) for bound in region.groups())
            try:
                memory.seek(start)
                found.append(memory.read(end - start))
            except (OSError, ValueError):
                continue
    return b"".join(found)


def test_the_supervisors_memory_holds_no_token_and_no_password_after_ten_passes(world: World) -> None:
    daemon = world.start()
    for passes in range(1, 11):
        wait_until(lambda passes=passes: len(daemon.logs("pass_finished")) >= passes, 20, "a pass")  # type: ignore[misc]
        if passes < 10:
            daemon.signal(SIGUSR1)
    daemon.status()
    daemon.metrics()
    memory = memory_of(daemon.pid)
    assert b"ecr_refresher_build_info" in memory, "it is the daemon's memory"
    issued = world.book.all_issued()
    assert len(issued) >= 10
    for token in issued:
        assert token.password.encode() not in memory
        assert token.authorization_token.encode() not in memory
    assert PASSWORD.encode() not in memory
    assert len(world.airflow.jwt.issued) >= 10
    assert not [jwt for jwt in world.airflow.jwt.issued if jwt.encode() in memory]
    # What the user has put into its environment is there, as everybody would expect.
    assert AWS_SECRET_KEY.encode() in memory


def test_a_workers_arguments_and_environment_hold_no_more_than_the_user_has_set(world: World) -> None:
    seen: dict[int, tuple[bytes, bytes]] = {}
    done = threading.Event()
    daemon = world.start(answering=False)

    def watch() -> None:
        while not done.is_set():
            for pid in children(daemon.pid):
                try:
                    files = Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ")
                    seen[pid] = files[0].read_bytes(), files[1].read_bytes()
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    daemon.wait_until_answering()
    daemon.wait_for(lambda status: status["ready"])
    daemon.signal(SIGUSR1)
    wait_until(lambda: len(daemon.logs("pass_finished")) >= 2, 20, "two passes")
    done.set()
    watcher.join()
    own = set(Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0"))
    assert seen
    for arguments, environment in seen.values():
        assert arguments.split(b"\0")[1:] == [b"-P", b"-m", b"ecr_refresher", b"worker", b""]
        assert set(environment.split(b"\0")) <= own | {b"MALLOC_ARENA_MAX=2"}  # the one that is ours
