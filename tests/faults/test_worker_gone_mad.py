"""Workers of the real daemon that hang, leak, flood their pipe or talk nonsense: their pass fails, and nothing else."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass
from signal import SIGUSR1

from tests.faults.conftest import World, children, resident_mb
from tests.testbed.processes import wait_until
from tests.testbed.sabotage import sabotaged

GROWTH_MB = 5.0
TOLD_WITHIN_S = 60.0


@dataclass(frozen=True)
class Madness:
    """What a worker does in place of its pass, how that is told in the log, and whether the work is done by then."""

    code: str
    event: str
    error: str
    done: bool = False


# `pipe` is where its report lines go. Memory that nobody touches is counted, but costs the machine nothing; without a
# limit the leaks here end, and are told otherwise.
MADNESS = {
    "it hangs": Madness("time.sleep(600)", "pass_killed", "took too long"),
    "it leaks": Madness("[bytes(64 << 20) for _ in range(64)]", "worker_failed", "memory limit"),
    "it leaks in one slot's thread": Madness(
        """
        class Leaky:
            def look(self):
                return [bytes(64 << 20) for _ in range(64)]
        tools.__class__ = type("Tools", (type(tools),), {"__slots__": (), "sink": lambda *_: Leaky()})
        asyncio.run(RefreshPass(job, plan, tools, unresolved).run())
        report(wire.Done())
        """,
        "delivery_failed",
        "the memory limit is reached",
    ),
    "it floods its pipe with good lines": Madness(
        'while True: report(wire.Proved("nobody" * 1000, "registry"))', "worker_garbled", "more than"
    ),
    "it floods its pipe with a line without end": Madness(
        'while True: os.write(pipe, b"x" * 65536)', "worker_garbled", "more than"
    ),
    "it talks nonsense": Madness(
        'os.write(pipe, b"Segmentation fault\\n"); time.sleep(600)', "worker_garbled", "not a report line"
    ),
    "it says another job's lines": Madness(
        """
        tools.report = lambda line: os.write(pipe, wire.dump_line(job.id + 1, line))
        asyncio.run(RefreshPass(job, plan, tools, unresolved).run())
        """,
        "pass_died",
        "exit status 0",
        done=True,
    ),
    "it ends with 0 and without a word": Madness("", "pass_died", "exit status 0"),
    "it goes mad after its work": Madness(
        """
        asyncio.run(RefreshPass(job, plan, tools, unresolved).run())
        os.write(pipe, b"\\0" * 100 + b"\\n")
        time.sleep(600)
        """,
        "worker_garbled",
        "not a report line",
        done=True,
    ),
}
PRELUDE = 'import time; pipe = dict(zip(report.__code__.co_freevars, report.__closure__))["descriptor"].cell_contents\n'


def test_a_mad_worker_fails_its_pass_and_nothing_else(world: World) -> None:
    script = world.directory / "madness.py"
    place = "    asyncio.run(RefreshPass(job, plan, tools, unresolved).run())\n"
    mad = f"    if os.path.exists({str(script)!r}): exec(open({str(script)!r}).read(), {{**globals(), **locals()}})\n"
    world.settings["refresh"]["deadline"] = "5s"
    daemon = world.start(
        env=sabotaged(world.directory / "edits", ("ecr_refresher.job.refresh.run", place, mad + place)),
    )
    daemon.wait_for(lambda status: status["ready"])
    wait_until(lambda: not children(daemon.pid), 10, "the first pass's end")
    before = resident_mb(daemon.pid)
    for how, madness in MADNESS.items():
        held, told = world.docker_password(), len(daemon.logs(madness.event))
        new = script.with_suffix(".new")
        new.write_text(PRELUDE + textwrap.dedent(madness.code) + "\nos._exit(0)\n")
        new.rename(script)
        daemon.signal(SIGUSR1)
        until = time.monotonic() + TOLD_WITHIN_S
        while len(daemon.logs(madness.event)) == told:
            assert time.monotonic() < until, f"{how}: not told"
            assert daemon.get("/livez", timeout=20).status == 200, how
            assert daemon.get("/readyz", timeout=20).status == 200, how
        script.unlink()
        assert madness.error in daemon.logs(madness.event)[told]["error"], how
        assert (world.docker_password() != held) is madness.done, how
        passed = len(daemon.logs("pass_finished"))
        daemon.signal(SIGUSR1)
        wait_until(lambda passed=passed: len(daemon.logs("pass_finished")) > passed, 30, "a pass")  # type: ignore[misc]
        daemon.wait_for(lambda status: all(slot["last_error"] is None for slot in status["slots"]))
        assert world.all_is_well(), how
        assert resident_mb(daemon.pid) - before < GROWTH_MB, how
    wait_until(lambda: not children(daemon.pid), 10, "the last worker's end")
    assert daemon.stop() == 0
