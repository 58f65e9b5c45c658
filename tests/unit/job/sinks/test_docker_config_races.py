"""Several writers and readers of one `config.json`, as real processes and threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ecr_refresher.core import budgets
from ecr_refresher.core.model import Failed, Outcome, Reason, witness_of
from ecr_refresher.job.sinks.batches import Batches

from .docker_world import HOST, NOW, OTHER_HOST, auth_of, content, credential, names_in, process, refusal, sink

READER = """
import json, os, sys
print("ready")
reads = torn = 0
while not os.path.exists(sys.argv[1] + ".stop"):
    try:
        whole = json.load(open(sys.argv[1]))
        torn += whole["auths"]["registry.example.com"] != {"auth": "Ym9iOmhpcw=="}
    except (ValueError, KeyError):
        torn += 1
    reads += 1
print(json.dumps([reads, torn]))
"""

# The docker command takes no lock: it reads, writes a temporary file, and renames it (cli/config/configfile/file.go).
DOCKER_COMMAND = """
import json, os, random, sys, time
path = sys.argv[1]
print("ready")
lost = torn = 0
for number in range(1000):
    try:
        whole = json.load(open(path))
    except ValueError:
        torn += 1
        continue
    lost += number > 0 and "his.example.com" not in whole["auths"]
    whole["auths"]["his.example.com"] = {"auth": str(number)}
    with open(path + "123456", "w") as file:
        json.dump(whole, file)
    os.rename(path + "123456", path)
    time.sleep(random.uniform(0, 0.004))
print(json.dumps([lost, torn]))
"""

SECOND_DAEMON = """
import os, sys
from tests.unit.job.sinks.docker_world import OTHER_HOST, credential, sink
print("ready")
sys.stdin.readline()
ours = sink(sys.argv[1])
for _ in range(200):
    ours.deliver(OTHER_HOST, last := credential())
print(last.expires_at)
"""

LOCKER = """
import fcntl, sys
held = open(sys.argv[1], "a")
fcntl.flock(held, fcntl.LOCK_EX)
print("ready")
sys.stdin.readline()
"""


KILLED_BEFORE_THE_FILE = """
import sys, time
from ecr_refresher.job.files.atomic_file import Folder
from tests.unit.job.sinks.docker_world import HOST, credential, sink
replace = Folder.replace
def stop_at_the_file(folder, name, *more):
    if name == "config.json":
        print("ready")
        time.sleep(600)
    return replace(folder, name, *more)
Folder.replace = stop_at_the_file
sink(sys.argv[1]).deliver(HOST, credential())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"registry.example.com": {"auth": "Ym9iOmhpcw=="}}}))
    return path


def test_a_reader_never_sees_a_torn_file_over_1000_writes(path: Path) -> None:
    ours = sink(path)
    with process(READER, path) as reader:
        for _ in range(1000):
            assert ours.deliver(HOST, credential()).outcome is Outcome.WRITTEN
        path.with_name("config.json.stop").touch()
        assert reader.stdout is not None
        reads, torn = json.loads(reader.stdout.readline())
    assert torn == 0
    assert reads > 1000


def test_the_docker_command_writing_beside_us_a_thousand_times_loses_nothing_of_either(path: Path) -> None:
    held = credential()
    ours = sink(path)
    repairs = torn = 0
    with process(DOCKER_COMMAND, path) as docker_command:
        while docker_command.poll() is None:
            if ours.look(HOST, NOW).until is None:
                ours.deliver(HOST, held)
                repairs += 1
            else:
                held = credential()
                assert ours.deliver(HOST, held).outcome is Outcome.WRITTEN
        assert docker_command.stdout is not None
        lost, torn = json.loads(docker_command.stdout.readline())
    assert (lost, torn) == (0, 0)
    if ours.look(HOST, NOW).until is None:  # his last write may have been begun before ours
        ours.deliver(HOST, held)
    assert sink(path).look(HOST, NOW).until == held.expires_at
    assert set(content(path)["auths"]) == {HOST, "registry.example.com", "his.example.com"}
    assert names_in(path.parent) == {"config.json"}


def test_two_daemons_delivering_two_hosts_lose_none(path: Path) -> None:
    ours = sink(path)
    with process(SECOND_DAEMON, path) as second:
        assert second.stdin is not None
        assert second.stdout is not None
        second.stdin.write("go\n")
        second.stdin.flush()
        for _ in range(200):
            last = credential()
            ours.deliver(HOST, last)
            assert ours.look(HOST, NOW).until == last.expires_at
        second.stdout.readline()
    assert content(path)["auths"][HOST]["auth"] == auth_of(last)
    for host in (HOST, OTHER_HOST):
        assert sink(path).look(host, NOW).until is not None


def test_the_slots_of_one_file_are_delivered_side_by_side(path: Path) -> None:
    ours = sink(path)
    hosts = [f"{number:012}.dkr.ecr.us-east-1.amazonaws.com" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda host: ours.look(host, NOW), hosts))
        deliveries = list(threads.map(lambda host: ours.deliver(host, credential()), hosts))
    assert all(delivery.witness is not None for delivery in deliveries)
    assert witness_of(path.stat()) in {delivery.witness for delivery in deliveries}
    assert set(content(path)["auths"]) == {"registry.example.com", *hosts}
    assert all(sink(path).look(host, NOW).until is not None for host in hosts)


def test_an_entry_that_makes_no_sense_fails_its_own_host_only(path: Path) -> None:
    hosts = [f"{number:012d}.dkr.ecr.us-east-1.amazonaws.com" for number in range(32)]
    path.write_text(json.dumps({"auths": {hosts[7]: "no object"}}))
    ours = sink(path)
    given = {host: credential() for host in hosts}
    with ThreadPoolExecutor(len(hosts)) as threads:
        running = {host: threads.submit(ours.deliver, host, given[host]) for host in hosts}
    failures = {host: future.exception() for host, future in running.items() if future.exception()}
    assert list(failures) == [hosts[7]]
    assert "is not an object" in str(failures[hosts[7]])
    assert {future.result().outcome for host, future in running.items() if host not in failures} == {Outcome.WRITTEN}
    held = {host: sink(path).look(host, NOW).until for host in hosts if host not in failures}
    assert held == {host: given[host].expires_at for host in held}
    assert content(path)["auths"][hosts[7]] == "no object"


class TestBatches:
    """Requests of many threads share acts."""

    def test_each_request_is_done_once_and_no_two_acts_overlap(self) -> None:
        acting, sizes = threading.Lock(), list[int]()

        def act(requests: Sequence[int]) -> list[int]:
            assert acting.acquire(blocking=False)
            sizes.append(len(requests))
            time.sleep(0.005)  # what a write takes
            acting.release()
            return [2 * request for request in requests]

        batches = Batches[int, int](act)
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(batches.do, range(320))) == [2 * number for number in range(320)]
        assert sum(sizes) == 320
        assert len(sizes) < 160

    def test_what_an_act_raises_is_raised_to_all_who_share_it_and_to_nobody_later(self) -> None:
        errors = iter([ValueError("first")])

        def act(requests: Sequence[int]) -> list[int]:
            for error in errors:
                raise error
            return list(requests)

        batches = Batches[int, int](act)
        with pytest.raises(ValueError, match="first"):
            batches.do(1)
        assert batches.do(2) == 2


def test_a_lock_that_is_held_is_waited_for_and_then_told_with_its_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = path.with_name(".config.json.ecr-refresher.lock")
    new = credential()
    with process(LOCKER, lock) as holder:
        monkeypatch.setattr(budgets, "LOCK_S", 0.3)
        failure = refusal(lambda: sink(path).deliver(HOST, new), new)
        assert failure.reason is Reason.TRANSIENT
        assert f"is locked by process {holder.pid}" in failure.message
        assert sink(path).look(HOST, NOW).until is None  # a look needs no lock
        monkeypatch.setattr(budgets, "LOCK_S", 30.0)
        with ThreadPoolExecutor(1) as thread:
            delivery = thread.submit(sink(path).deliver, HOST, new)
            time.sleep(0.1)
            assert not delivery.done()
            holder.kill()
            assert delivery.result(30).outcome is Outcome.WRITTEN


def test_a_lock_file_that_is_removed_while_we_wait_is_made_anew(path: Path) -> None:
    lock = path.with_name(".config.json.ecr-refresher.lock")
    with process(LOCKER, lock) as holder, ThreadPoolExecutor(1) as thread:
        delivery = thread.submit(sink(path).deliver, HOST, credential())
        time.sleep(0.1)
        lock.unlink()
        holder.kill()
        assert delivery.result(30).outcome is Outcome.WRITTEN
    assert lock.exists()


def test_somebody_who_writes_in_place_is_waited_for(path: Path) -> None:
    whole = path.read_text()
    path.write_text(whole[:10])
    with ThreadPoolExecutor(1) as thread:
        delivery = thread.submit(sink(path).deliver, HOST, credential())
        time.sleep(0.05)
        path.write_text(whole)
        assert delivery.result(30).outcome is Outcome.WRITTEN
    assert set(content(path)["auths"]) == {HOST, "registry.example.com"}


def test_a_kill_between_record_and_file_loses_no_knowledge_of_either(path: Path) -> None:
    old, new = credential(), credential(issued_at=NOW + 60)
    sink(path).deliver(HOST, old)
    for _ in range(3):  # as often as it happens
        with process(KILLED_BEFORE_THE_FILE, path):
            pass  # `process` ends it by SIGKILL
        assert sink(path).look(HOST, NOW).until == old.expires_at
    sink(path).deliver(HOST, new)
    assert sink(path).look(HOST, NOW).until == new.expires_at


def test_a_writer_without_end_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        path.write_bytes(path.read_bytes() + b" " if path.exists() else b"{}")

    monkeypatch.setattr("ecr_refresher.job.sinks.docker.writing._remember", write)
    with pytest.raises(Failed) as caught:
        sink(path).deliver(HOST, credential())
    assert caught.value.failure.reason is Reason.TRANSIENT
    assert "another program keeps writing to it" in caught.value.failure.message
    assert names_in(path.parent) == {"config.json"}
