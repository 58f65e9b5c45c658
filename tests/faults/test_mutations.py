"""Can the tests of faults fail? The product is broken on purpose, some lines at a time, and a test must call it out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.conftest import SOAK
from tests.testbed import parts
from tests.testbed.daemon import MEASURING
from tests.testbed.sabotage import sabotaged

P = "ecr_refresher."
SINKS, DAEMON, FAULTS = "tests/unit/job/sinks/", "tests/unit/daemon/", "tests/faults/"
WHOLE_RUN = "hunt for secrets"  # reported as a test of its own, at a run's end


@dataclass(frozen=True)
class Mutation:
    """Edits of the product (module, old, new), the test that runs on it, and what is to be reported as failed."""

    edits: tuple[tuple[str, str, str], ...]
    test: str
    reported: str = ""
    slow: bool = False  # in `make soak` only
    root: bool = False


def edit(module: str, old: str, new: str) -> tuple[tuple[str, str, str], ...]:
    return ((P + module, old, new),)


MUTATIONS = {
    "a file is written in place": Mutation(
        edit(
            "job.files.atomic_file",
            "os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)",
            "open(self.full(name), 'wb').write(content)",
        ),
        SINKS + "test_docker_config_races.py::test_a_reader_never_sees_a_torn_file_over_1000_writes",
        slow=True,
    ),
    "who wrote meanwhile is written over": Mutation(
        edit("job.sinks.docker.writing", "lambda seen: witness_of(seen) == state.witness", "lambda seen: True"),
        SINKS + "test_docker_config_races.py::test_a_writer_without_end_is_told",
    ),
    "a write takes no lock": Mutation(
        edit("job.files.lock", "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),
        SINKS + "test_docker_config_races.py::test_a_lock_that_is_held_is_waited_for_and_then_told_with_its_holder",
    ),
    "links to somebody else's file are followed": Mutation(
        edit("job.sinks.docker.writing", "if place.linked and snapshot.stat", "if False and snapshot.stat"),
        SINKS + "test_docker_config_faults.py::TestLinks::test_one_to_somebody_elses_file_is_refused",
        root=True,
    ),
    "root writes for another user as root": Mutation(
        edit("job.sinks.docker.child", "        os.setresuid(user.uid, user.uid, user.uid)\n", "")
        + edit("job.sinks.docker.child", '"PYTHONHOME"}', '"PYTHONHOME", "SABOTAGE_EDITS"}'),
        SINKS + "test_docker_config_owner.py::test_all_that_is_written_belongs_to_him",
        root=True,
    ),
    "a helper runs with the groups of root": Mutation(
        edit("job.sinks.docker.child", "os.setresgid(user.gid, user.gid, user.file_gid)", "pass")
        + edit("job.sinks.docker.child", '"PYTHONHOME"}', '"PYTHONHOME", "SABOTAGE_EDITS"}'),
        SINKS + "test_docker_hostile_owner.py::test_a_helper_gets_the_users_own_groups_and_never_roots",
        root=True,
    ),
    "a child stays in the terminal's session": Mutation(
        edit("job.sinks.docker.child", "own_session=True", "own_session=False"),
        SINKS + "test_docker_config_helpers.py::test_a_helper_has_no_terminal_and_a_session_of_its_own",
        slow=True,
    ),
    "root writes where others could lead it": Mutation(
        edit("job.files.paths", "roots_only=os.geteuid() == 0", "roots_only=False"),
        SINKS
        + "test_docker_hostile_owner.py"
        + "::test_root_without_owner_writes_nowhere_that_another_user_controls_and_check_says_so",
        root=True,
    ),
    "another user's record tells the life of all tokens": Mutation(
        edit("job.sinks.docker.sink", "own = self._user is None and", "own ="),
        SINKS
        + "test_docker_hostile_owner.py"
        + "::test_a_record_that_she_falsified_says_nothing_of_others_and_no_more_than_a_token_can_live",
        root=True,
    ),
    "a full disk is no failure": Mutation(
        edit("job.files.errors", "case errno.ENOSPC | errno.EDQUOT:", "case None:"),
        SINKS + "test_docker_config_faults.py::test_a_full_disk_is_told_and_passes",
        root=True,
    ),
    "lines before garbage are lost": Mutation(
        edit(
            "daemon.workers",
            "                    self._spoil(str(error))\n",
            "                    self._spoil(str(error))\n                    found.clear()\n",
        ),
        DAEMON + "test_workers.py::test_lines_before_garbage_in_the_same_breath_count",
    ),
    "a flood is read to its end": Mutation(
        edit("daemon.workers", "READS_MAX = 8", "READS_MAX = 1 << 30"),
        DAEMON + "test_workers.py::test_a_flood_is_taken_in_portions",
    ),
    "a report may be of any length": Mutation(
        edit("daemon.workers", "self._spoil(f", "str(f"),
        DAEMON + "test_workers.py::test_lines_without_end_are_too_much",
        slow=True,
    ),
    "only the worker is killed, not its group": Mutation(
        edit("daemon.workers", "os.killpg(self.pid, signal.SIGKILL)", "os.kill(self.pid, signal.SIGKILL)"),
        DAEMON + "test_supervisor.py::test_it_ends_with_status_0_while_a_worker_hangs_and_leaves_nothing_behind",
        slow=True,
    ),
    "a worker keeps the daemon's terminal": Mutation(
        edit("daemon.workers", "start_new_session=True", "process_group=0"),
        DAEMON + "test_workers.py::test_it_can_t_open_the_terminal_that_the_daemon_was_started_on",
    ),
    "each report line copies the state": Mutation(
        edit(
            "daemon.machine.bookings",
            "state = _line(state, line, now)",
            "state = _line(state.copy(), line, now)",
        ),
        DAEMON + "test_bookings.py::test_a_batch_of_lines_copies_each_map_once",
    ),
    "a dead reload comes before what is due": Mutation(
        edit("daemon.machine.step", "not (serves and not state.last_reload_ok)", "True"),
        DAEMON + "test_step.py::test_a_slot_that_is_due_comes_before_settings_that_have_killed_a_worker",
    ),
    "an end waits for its worker for ever": Mutation(
        edit("daemon.machine.step", "now >= state.stop_by_boot", "False"),
        DAEMON + "test_step.py::test_a_worker_that_can_t_be_killed_is_waited_for_no_longer_than_an_end_may_take",
    ),
    "liveness counts suspends": Mutation(
        edit("daemon.web.pages", "self._mono = mono", "self._mono = now"),
        DAEMON + "test_http.py::test_livez_is_200_after_a_suspend_and_503_when_the_loop_hangs",
    ),
    "a new settings file that is wrong ends the daemon": Mutation(
        edit("daemon.machine.bookings", 'then(Say("error", "settings_r', 'then(Exit(2), Say("error", "settings_r'),
        DAEMON + "test_supervisor.py::test_bad_new_settings_leave_the_old_ones_in_force",
    ),
    "a head may be of any length": Mutation(
        edit("daemon.web.connection", "max_incomplete_event_size=HEAD_MAX", "max_incomplete_event_size=1 << 30"),
        DAEMON + "test_http.py::test_a_head_that_is_too_long_is_refused",
    ),
    "who is late is not let go": Mutation(
        edit("daemon.web.connection", "wait_s = REQUEST_S", "wait_s = 1e9"),
        DAEMON + "test_http.py::test_a_client_that_is_too_slow_is_let_go",
        slow=True,
    ),
    "each client gets a body of its own, and as many as they want": Mutation(
        edit("daemon.web.pages", "content_type, last.body)", "content_type, bytes(bytearray(last.body)))")
        + edit("daemon.web.server", "IN_FLIGHT_MAX = 8 << 20", "IN_FLIGHT_MAX = 8 << 30"),
        FAULTS + "test_bad_clients.py::test_slow_readers_of_a_thousand_slots_share_the_body_and_probes_are_answered",
        slow=True,
    ),
    "cores are dumped": Mutation(
        edit("cli", "    _dump_no_core()\n", ""),
        FAULTS + "test_core_dumps.py::test_daemon_and_worker_may_dump_no_core",
        slow=True,
    ),
    "tokens are logged, and nothing is masked": Mutation(
        edit("job.refresh.last_words", '"repaired": line.repaired or None', '"repaired": credential.secret.reveal()')
        + edit("logs", "else redact(str(value))", "else str(value)"),
        FAULTS + "test_secrets.py::test_a_workers_arguments_and_environment_hold_no_more_than_the_user_has_set",
        reported=WHOLE_RUN,
    ),
    "a worker's memory has no limit": Mutation(
        edit("job.limits", "    resource.setrlimit(resource.RLIMIT_DATA, (most, most))\n", ""),
        FAULTS + "test_worker_gone_mad.py::test_a_mad_worker_fails_its_pass_and_nothing_else",
        slow=True,
    ),
    "an orphan leaves behind what it has started": Mutation(
        edit("job.limits", "        os.killpg(0, signal.SIGKILL)\n", "        pass\n"),
        FAULTS + "test_killed.py::test_after_a_killed_supervisor_a_hung_helper_and_what_it_started_do_not_live_on",
        slow=True,
    ),
    "tokens are reported to the supervisor": Mutation(
        edit(
            "job.refresh.refresh_pass",
            "token = self._names[credential]",
            "token = credential.secret.reveal()",
        ),
        FAULTS + "test_secrets.py::test_the_supervisors_memory_holds_no_token_and_no_password_after_ten_passes",
        slow=True,
    ),
    "a registry's certificate is not looked at": Mutation(
        edit(
            "job.net.trust",
            "        made = ssl.create_default_context(cafile=trust.file)\n",
            "        made = ssl._create_unverified_context()\n",
        ),
        FAULTS + "test_network.py::test_whatever_the_network_does_is_told_and_passes",
        slow=True,
    ),
}
RUN_HERE = [name for name, mutation in MUTATIONS.items() if SOAK or not mutation.slow]


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_edit_is_of_lines_that_are_there(name: str) -> None:
    for module, old, _ in MUTATIONS[name].edits:
        source = (parts.REPOSITORY / (module.replace(".", "/") + ".py")).read_text()
        assert source.count(old) == 1, (module, old)


@pytest.mark.parametrize("name", RUN_HERE)
def test_each_breakage_is_called_out(name: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[name]
    if mutation.root and os.geteuid() != 0:
        parts.give_up("files: mounts and other users' files need root")
    environ = {key: value for key, value in os.environ.items() if key not in (*MEASURING, "ECR_REFRESHER_SOAK")}
    environ |= sabotaged(tmp_path / "edits", *mutation.edits)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--outputs", str(tmp_path / "outputs"), mutation.test],
        cwd=parts.REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert f"{mutation.reported or mutation.test}" in done.stdout, done.stdout
    assert "sabotage:" not in done.stdout + done.stderr, done.stdout
