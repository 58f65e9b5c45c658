"""What a user can do to root and to other users through a file that root's daemon serves: nothing."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import resource
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher.core import budgets, decide, wire
from ecr_refresher.core.model import Failed, Outcome, Reason
from ecr_refresher.job import settings
from ecr_refresher.job.sinks.docker import acts, child, writing
from ecr_refresher.job.sinks.docker.messages import ConfigFile, Held, Looked
from ecr_refresher.job.sinks.docker.sink import DockerConfigSink
from tests.testbed import parts
from tests.testbed.processes import wait_until

from .docker_world import BOB, HOST, LIFE_S, NOW, OTHER_HOST, content, credential, names_in, process, refusal, sink

pytestmark = pytest.mark.usefixtures("as_root")
ALICE = 20_000 + os.getpid() % 30_000  # nobody on any machine, and of this process alone
MEMORY = """
import resource, sys
from tests.unit.job.sinks.docker_world import HOST, NOW, sink
def peak(who):
    return resource.getrusage(who).ru_maxrss
before = peak(resource.RUSAGE_SELF)
try:
    sink(sys.argv[1], uid=int(sys.argv[2]), gid=int(sys.argv[2])).look(HOST, NOW)
except Exception as error:
    print(error)
print(peak(resource.RUSAGE_SELF) - before, peak(resource.RUSAGE_CHILDREN))
"""


@pytest.fixture
def home(open_path: Path) -> Path:
    home = open_path / "alice"
    home.mkdir(mode=0o700)
    os.chown(home, ALICE, ALICE)
    return home


def hers(path: Path, **settings: Any) -> DockerConfigSink:
    return sink(path, **{"uid": ALICE, "gid": ALICE, **settings})


def link(path: Path, target: Path | str) -> None:
    path.symlink_to(target)
    os.chown(path, ALICE, ALICE, follow_symlinks=False)


def own(path: Path, text: str | bytes) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.chown(path, ALICE, ALICE)


def running_as(uid: int) -> str:
    return subprocess.run(["pgrep", "-u", str(uid)], capture_output=True, text=True, check=False).stdout


def states(uid: int) -> list[str]:
    shown = subprocess.run(["ps", "-o", "state=", "-u", str(uid)], capture_output=True, text=True, check=False)
    return shown.stdout.split()


# --- before the child is the user -----------------------------------------------------------------------------------
def test_python_runs_nothing_of_the_users_home_as_root(
    home: Path, open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside a virtual environment Python runs code of `~/.local` as it starts, which is before it is the user."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages, ran = home / ".local" / "lib" / version / "site-packages", open_path / "ran"
    packages.mkdir(parents=True)
    own(packages / "alice.pth", f"import os; os.mkdir({str(ran)!r})\n")
    own(home / "config.json", "{}")
    monkeypatch.setattr(sys, "executable", str(Path(sys.base_prefix, "bin", version)))
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    alice = pwd.struct_passwd(("alice", "x", ALICE, ALICE, "", str(home), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: alice)
    user = child.other_user(ALICE, ALICE)
    looked = child.ask(ConfigFile(str(home / "config.json")), acts.LOOK, (HOST,), user, environ)
    assert isinstance(looked, Looked)
    assert looked.entries == (Held(),)
    assert not ran.exists()


# --- paths that can't be resolved ----------------------------------------------------------------------------------
def a_link_into_proc(home: Path) -> None:
    link(home / "config.json", "/proc/2/exe")


def a_long_chain(home: Path) -> None:
    for number in range(3000):
        link(home / str(number), str(number + 1))
    link(home / "config.json", "0")


def a_circle(home: Path) -> None:
    link(home / "config.json", "other")
    link(home / "other", "config.json")


def an_endless_name(home: Path) -> None:
    link(home / "config.json", "/".join(["x" * 250] * 15))


def a_link_through_a_file(home: Path) -> None:
    own(home / "file", "")
    link(home / "config.json", "file/config.json")


@pytest.mark.parametrize(
    "trick",
    [a_link_into_proc, a_long_chain, a_circle, an_endless_name, a_link_through_a_file],
    ids=lambda trick: trick.__name__,
)
def test_a_path_that_can_t_be_resolved_fails_that_slot_only(home: Path, trick: Callable[[Path], None]) -> None:
    trick(home)
    ours = hers(home / "config.json")
    for call in (lambda: ours.look(HOST, NOW), lambda: ours.deliver(HOST, credential()), ours.examine):
        failure = refusal(call)
        assert failure.reason in (Reason.INVALID, Reason.DENIED, Reason.MISSING)
        assert failure.message.startswith(str(home))
        assert failure.fix


@pytest.mark.parametrize("trick", [a_link_into_proc, a_long_chain, a_circle], ids=lambda trick: trick.__name__)
def test_settings_that_name_such_a_path_are_as_good_as_any(home: Path, trick: Callable[[Path], None]) -> None:
    """Otherwise her link would end every pass, and each reload."""
    trick(home)
    file = home.parent / "settings.yaml"
    docker = [
        {"config_file": str(home / "config.json"), "owner": f"{ALICE}:{ALICE}"},
        {"config_file": "/x/config.json"},
    ]
    file.write_text(json.dumps({"registries": [HOST], "docker": docker}))
    loaded = settings.load(wire.Load(str(file)), {"HOME": "/root"}).plan
    assert [each.config_file for each in loaded.dockers] == [str(home / "config.json"), "/x/config.json"]


@contextmanager
def swapped_all_the_time(path: Path, target: Path) -> Iterator[None]:
    over = threading.Event()
    other = path.with_name("other")

    def swap() -> None:
        while not over.is_set():
            link(other, target)
            other.rename(path)
            own(other, '{"auths": {}}')
            other.rename(path)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_file_that_turns_into_a_link_and_back_all_the_time_leads_nowhere(home: Path, open_path: Path) -> None:
    precious = open_path / "precious.json"
    precious.write_text('{"auths": {}}')
    precious.chmod(0o666)
    ours = hers(home / "config.json")
    with swapped_all_the_time(home / "config.json", precious):
        for _ in range(10):
            with contextlib.suppress(Failed):  # or not: whichever moment it meets
                ours.deliver(HOST, credential())
    assert (precious.read_text(), precious.stat().st_uid) == ('{"auths": {}}', 0)


# --- memory --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        b'{"x": [' + b"10," * (16 << 18) + b"10]}",
        b'{"x": [' + b"10," * (80 << 10) + b"10]}",  # as large as a file may be
        b'{"x": ' + b"[" * (128 << 10) + b"]" * (128 << 10) + b"}",
        b"{" + b",".join(b'"%d":{}' % number for number in range(25_000)) + b"}",
    ],
    ids=["16 MB", "as large as may be", "nested", "many keys"],
)
def test_a_hostile_file_takes_no_memory_of_the_worker_and_little_of_its_child(home: Path, text: bytes) -> None:
    own(home / "config.json", text)
    own(home / ".config.json.ecr-refresher.json", text)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, home / "config.json", str(ALICE)], capture_output=True, text=True, check=True
    )
    worker, child = map(int, done.stdout.split("\n")[-2].split())
    assert worker < 3 << 10  # KiB
    assert child < 90 << 10


@pytest.mark.parametrize("mode", [0o1777, 0o700], ids=["everybody's", "hers"])
def test_a_helper_leaves_nothing_in_memory(
    home: Path, open_path: Path, helper: Any, mount: Callable[..., None], mode: int
) -> None:
    """Those pages would count for the daemon's memory until somebody removes them."""
    memory = open_path / "memory"
    memory.mkdir()
    mount("-t", "tmpfs", "-o", f"uid={ALICE},mode={mode:o}", "none", memory)
    seen, segments = open_path / "kept-by-test" / "seen", Path("/proc/sysvipc/shm")
    big = f"head -c 4000000 /dev/zero > {{}}/left-by-{ALICE}; stat -c %s {{}}/left-by-{ALICE} >> {seen}"
    fill = "; ".join(big.format(place, place) for place in (memory, "/dev/shm"))
    helper("test", f"mktemp -p /dev/shm >> {seen}; {fill}; ipcmk -M 4000000 >> {seen}; true")
    own(home / "config.json", '{"credsStore": "test"}')
    hers(home / "config.json").look(HOST, NOW)
    temporary, *sizes = [line for line in seen.read_text().split("\n") if not line.startswith("Shared memory id")]
    assert temporary.startswith("/dev/shm/tmp.")  # what helpers need is there
    assert all(int(size) <= 1 << 20 for size in sizes if size)
    assert list(memory.iterdir()) == []
    assert not Path(temporary).exists()
    assert not Path(f"/dev/shm/left-by-{ALICE}").exists()
    assert str(ALICE) not in segments.read_text().split()


def test_a_file_on_a_file_system_in_memory_is_served_with_its_helper(
    open_path: Path, helper: Any, mount: Callable[..., None]
) -> None:
    helper("test")
    memory = open_path / "memory"
    memory.mkdir()
    mount("-t", "tmpfs", "-o", "mode=1777", "none", memory)
    own(memory / "config.json", '{"credsStore": "test"}')
    assert hers(memory / "config.json").deliver(HOST, credential()).outcome is Outcome.WRITTEN
    assert content(memory / "config.json")["auths"] == {HOST: {}}


def test_a_helper_that_forks_without_end_leaves_room_for_others_and_one_of_a_busy_user_starts(
    home: Path, helper: Any
) -> None:
    """The kernel counts all that she runs, so what she runs elsewhere may not keep her helper from starting."""
    busy = f"import os, subprocess\nos.setresuid({ALICE}, {ALICE}, {ALICE})\n"
    busy += "all = [subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL) for _ in range(300)]\n"
    busy += "print('ready')\ninput()\n"
    busy += "for each in all:\n    each.kill()"
    helper("test", "(while :; do setsid sleep 60 > /dev/null & done); exec sleep 1")
    own(home / "config.json", '{"credsStore": "test"}')
    with process(busy) as others, ThreadPoolExecutor() as threads:
        before = len(running_as(ALICE).split())
        looked = threads.submit(refusal, lambda: hers(home / "config.json").look(HOST, NOW))
        wait_until(lambda: len(running_as(ALICE).split()) > before + budgets.PROCESSES / 2, 10, "a helper of hers")
        most = before
        while not looked.done():
            most = max(most, len(running_as(ALICE).split()))
        assert most <= before + 2 * budgets.PROCESSES
        assert "its answer is not a JSON object" in looked.result().message  # so it ran
        wait_until(lambda: len(running_as(ALICE).split()) <= before, 5, "the end of all that the helper started")
        others.communicate("\n")


def test_a_child_has_an_end_of_its_memory(home: Path, helper: Any, open_path: Path) -> None:
    limit = open_path / "kept-by-test" / "limit"
    helper("test", f"ulimit -d > {limit}; cat /proc/self/oom_score_adj >> {limit}")
    own(home / "config.json", '{"credsStore": "test"}')
    hers(home / "config.json").look(HOST, NOW)
    most, score = limit.read_text().split()
    assert (int(most), int(score)) == (512 << 10, 1000)  # KiB


# --- helpers -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec yes", "printed more than 64 KiB"),
        ("yes & yes & yes & wait", "printed more than 64 KiB"),
        ("head -c 200000 /dev/zero; exec sleep 600", "printed more than 64 KiB"),
        ("yes >&2 & exec 1>&-; wait", "no answer within"),
    ],
)
def test_a_helper_that_prints_for_ever_ends_with_all_that_it_started(
    home: Path, helper: Any, open_path: Path, script: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "no answer" in said:
        monkeypatch.setattr("ecr_refresher.core.budgets.HELPER_CHILD_S", 2.0)
    pid = open_path / "kept-by-test" / "pid"
    helper("test", f"echo $$ > {pid}; {script}")
    own(home / "config.json", '{"credsStore": "test"}')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failure = refusal(lambda: hers(home / "config.json").look(HOST, NOW))
    assert failure.reason is Reason.TRANSIENT
    assert said in failure.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10
    assert pid.exists()
    wait_until(lambda: not running_as(ALICE), 10, "the end of all that the helper started")


@pytest.mark.parametrize("then", ["", "sleep 600"], ids=["and answers", "and hangs"])
def test_a_daemon_that_a_helper_leaves_behind_ends_too(
    home: Path, helper: Any, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_refresher.core.budgets.HELPER_CHILD_S", 3.0)
    helper("test", f"setsid sh -c 'setsid sleep 601 & exec sleep 602' </dev/null >/dev/null 2>&1 & sleep 0.3; {then}")
    own(home / "config.json", '{"credsStore": "test"}')
    if then:
        assert "no answer within" in refusal(lambda: hers(home / "config.json").look(HOST, NOW)).message
    else:
        hers(home / "config.json").look(HOST, NOW)
    assert not running_as(ALICE)


def test_many_slots_with_a_slow_helper_have_two_children_at_a_time(home: Path, helper: Any, open_path: Path) -> None:
    kept_in = open_path / "kept-by-test"
    helper("test", f"cd {kept_in}; touch $$.now; sleep 0.3; ls | grep -c now$ > $$.seen; rm $$.now")
    own(home / "config.json", '{"credsStore": "test"}')
    hosts = tuple(f"{number:012d}.dkr.ecr.us-east-1.amazonaws.com" for number in range(8))
    ours = hers(home / "config.json", registries=hosts)
    with ThreadPoolExecutor(len(hosts)) as threads:
        assert {held.until for held in threads.map(lambda host: ours.look(host, NOW), hosts)} == {None}
    counts = [int(seen.read_text()) for seen in kept_in.glob("*.seen")]
    assert len(counts) == 8
    assert max(counts) <= 2


def test_a_thousand_registries_in_her_file_are_served(home: Path) -> None:
    hosts = tuple(f"{number:012d}.dkr.ecr.us-east-1.amazonaws.com" for number in range(1000))
    ours = hers(home / "config.json", registries=hosts)
    new = credential("x" * 2600)
    with ThreadPoolExecutor(128) as threads:
        outcomes = {delivery.outcome for delivery in threads.map(lambda host: ours.deliver(host, new), hosts)}
        assert outcomes == {Outcome.WRITTEN}
        assert {held.until for held in threads.map(lambda host: ours.look(host, NOW), hosts)} == {new.expires_at}


@pytest.mark.parametrize("script", ["exec sleep 600", "kill -STOP $PPID; exec sleep 600"])
def test_root_without_the_right_to_kill_waits_no_longer_for_her_child(home: Path, helper: Any, script: str) -> None:
    helper("test", script)
    own(home / "config.json", '{"credsStore": "test"}')
    code = (
        "import sys; from ecr_refresher.core import budgets; from tests.unit.job.sinks.docker_world import *\n"
        "budgets.HELPER_CHILD_S = 2.0\n"
        "ours = sink(sys.argv[1], uid=int(sys.argv[2]), gid=int(sys.argv[2]))\n"
        "print(refusal(lambda: ours.look(HOST, NOW)))\n"
    )
    bounded = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]
    command = [*bounded, sys.executable, "-c", code, str(home / "config.json"), str(ALICE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        assert "no answer within 2 s" in done.stdout
    finally:
        subprocess.run(["pkill", "-KILL", "-u", str(ALICE)], check=False)


def test_a_child_that_she_has_stopped_ends_with_its_parent(home: Path, helper: Any) -> None:
    helper("test", "kill -STOP $PPID")
    own(home / "config.json", '{"credsStore": "test"}')
    code = (
        "import sys; from tests.unit.job.sinks.docker_world import *\n"
        "sink(sys.argv[1], uid=int(sys.argv[2]), gid=int(sys.argv[2])).look(HOST, NOW)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(home / "config.json"), str(ALICE)]) as parent:
        wait_until(lambda: "T" in states(ALICE), 20, "her child to be stopped")
        parent.kill()
    wait_until(lambda: not running_as(ALICE), 5, "its end")


def test_a_helper_gets_the_users_own_groups_and_never_roots(home: Path, helper: Any, open_path: Path) -> None:
    seen = open_path / "kept-by-test" / "groups"
    helper("test", f"{{ id -g; id -G; grep ^Gid: /proc/self/status; }} > {seen}")
    path = home / "config.json"
    own(path, '{"credsStore": "test"}')
    assert hers(path, gid=0).deliver(HOST, credential()).outcome is Outcome.WRITTEN
    group, groups, saved = seen.read_text().splitlines()
    assert (group, groups) == (str(ALICE), str(ALICE))
    assert set(saved.split()[1:]) == {str(ALICE)}
    assert (path.stat().st_uid, path.stat().st_gid) == (ALICE, 0)  # the file is given to root's group all the same


def test_a_known_user_has_the_groups_of_the_system(home: Path, helper: Any, open_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    seen = open_path / "kept-by-test" / "ids"
    helper("test", f"{{ id -u; id -g; echo $HOME $USER; }} > {seen}")
    (home / "config.json").write_text('{"credsStore": "test"}')
    for path in (home, home / "config.json"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    sink(home / "config.json", uid=nobody.pw_uid, gid=0).look(HOST, NOW)
    assert seen.read_text().split() == [str(nobody.pw_uid), str(nobody.pw_gid), nobody.pw_dir, "nobody"]


# --- records -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("issued", "expires"),
    [
        (NOW + LIFE_S - 1, NOW + LIFE_S),
        (4e9 - LIFE_S, 4e9),
        (NOW, NOW + 24 * 3600.0 + 1),
        (-1e308, 1e308),
        (NOW + LIFE_S, NOW),
    ],
)
def test_a_record_that_she_falsified_says_nothing_of_others_and_no_more_than_a_token_can_live(
    home: Path, issued: float, expires: float
) -> None:
    path = home / "config.json"
    hers(path).deliver(HOST, credential())
    record = home / ".config.json.ecr-refresher.json"
    whole = content(record)
    for entry in whole["hosts"][HOST]:
        entry["issued_at"], entry["expires_at"] = issued, expires
    own(record, json.dumps(whole))
    held = hers(path).look(HOST, NOW)
    assert held.life is None  # it would be taken for the life of all tokens of that principal
    assert not held.own_record
    assert held.until is None or held.until <= NOW + LIFE_S or not decide.believed(held, NOW, LIFE_S)


# --- whose rights --------------------------------------------------------------------------------------------------
def test_a_look_is_done_with_her_rights_and_quotes_nothing(home: Path, open_path: Path) -> None:
    guarded = open_path / "roots"
    guarded.mkdir(mode=0o700)
    (guarded / "config.json").write_text('{"auths": {"very-secret-name": 5, "very-secret-name": 6}}')
    link(home / ".docker", guarded)
    path = home / ".docker" / "config.json"
    for call in (lambda: hers(path).look(HOST, NOW), lambda: hers(path).inspect(HOST), hers(path).examine):
        failure = refusal(call)
        assert failure.reason is Reason.DENIED
        assert "very-secret-name" not in str(failure)
    assert names_in(guarded) == {"config.json"}


def test_roots_fifo_is_not_opened(home: Path, open_path: Path) -> None:
    os.mkfifo(open_path / "fifo", 0o600)
    link(home / "config.json", open_path / "fifo")
    assert refusal(lambda: hers(home / "config.json").look(HOST, NOW)).reason is Reason.DENIED


def test_a_home_that_root_may_not_enter_is_looked_at_as_its_owner(home: Path) -> None:
    """Root without its override of permissions, as on a network file system with root_squash."""
    path = home / "config.json"
    new = credential()
    hers(path).deliver(HOST, new)
    script = (
        "import sys; from tests.unit.job.sinks.docker_world import *\n"
        "ours = sink(sys.argv[1], uid=int(sys.argv[2]), gid=int(sys.argv[2]))\n"
        "print(ours.look(HOST, NOW).until, ours.examine().mode, ours.deliver(HOST, credential()).outcome.value)\n"
    )
    bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*bounded, sys.executable, "-c", script, str(path), str(ALICE)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(new.expires_at), str(0o600), "written"], done.stderr


def test_a_lock_whose_holder_can_t_be_named_is_reported(home: Path, open_path: Path) -> None:
    """The child may not load codecs any more: the interpreter's own files may be closed to the user."""
    path = home / "config.json"
    hers(path).deliver(HOST, credential())
    script = (
        "import encodings, fcntl, os, shutil, subprocess, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.job.sinks.docker_world import *\n"
        "theirs, copy = Path(encodings.__file__).parent, Path(sys.argv[3])\n"
        "shutil.copytree(theirs, copy); copy.chmod(0o700)\n"
        "subprocess.run(['mount', '--bind', copy, theirs], check=True)\n"
        "held = open(Path(sys.argv[1]).with_name('.config.json.ecr-refresher.lock'), 'a')\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        "print(refusal(lambda: sink(sys.argv[1], uid=int(sys.argv[2]), gid=1).deliver(HOST, credential())))\n"
    )
    command = ["unshare", "--mount", sys.executable, "-c", script, str(path), str(ALICE), str(open_path / "encodings")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert "is locked by process" in done.stdout


def traces(directory: Path) -> dict[Path, tuple[int, ...]]:
    """What a write would change."""
    seen = {path: path.lstat() for path in directory.rglob("*")}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_mode, stat.st_uid) for path, stat in seen.items()}


# --- root without owner --------------------------------------------------------------------------------------------
def in_a_sticky_directory(open_path: Path) -> Path:
    shared = open_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    own(shared / "config.json", "{}")
    return shared / "config.json"


def in_her_home(open_path: Path) -> Path:
    (open_path / "alice").mkdir()
    os.chown(open_path / "alice", ALICE, ALICE)
    return open_path / "alice" / ".docker" / "config.json"


def below_her_link(open_path: Path) -> Path:
    program = open_path / "program"
    program.mkdir()
    (program / "config.json").write_text("{}")
    (program / "config.json").chmod(0o644)
    shared = open_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link(shared / "docker", program)
    return shared / "docker" / "config.json"


def below_a_directory_with_rights_for_her(open_path: Path) -> Path:
    (open_path / "team" / "docker").mkdir(parents=True)
    # An access control list of root, rwx for ALICE, and a mask of rwx: version, then (tag, permissions, id) each.
    entries = [(1, 7, -1), (2, 7, ALICE), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(open_path / "team", "system.posix_acl_access", acl)
    except OSError as error:
        parts.give_up(f"this file system has no access control lists: {error}")
    return open_path / "team" / "docker" / "config.json"


def below_a_directory_of_a_group(open_path: Path) -> Path:
    (open_path / "team" / "docker").mkdir(parents=True)
    os.chown(open_path / "team", 0, ALICE)
    (open_path / "team").chmod(0o775)
    return open_path / "team" / "docker" / "config.json"


def by_roots_link_into_her_home(open_path: Path) -> Path:
    path = in_her_home(open_path)
    (open_path / "root").mkdir()
    (open_path / "root" / "config.json").symlink_to(path)
    return open_path / "root" / "config.json"


@pytest.mark.parametrize(
    "trick",
    [
        in_a_sticky_directory,
        in_her_home,
        below_her_link,
        below_a_directory_of_a_group,
        below_a_directory_with_rights_for_her,
        by_roots_link_into_her_home,
    ],
    ids=lambda trick: trick.__name__,
)
def test_root_without_owner_writes_nowhere_that_another_user_controls_and_check_says_so(
    open_path: Path, trick: Callable[[Path], Path]
) -> None:
    path = trick(open_path)
    before = traces(open_path)
    for call in (
        lambda: sink(path).look(HOST, NOW),
        lambda: sink(path).deliver(HOST, credential()),
        sink(path).examine,
    ):
        failure = refusal(call)
        assert failure.reason is Reason.DENIED
        assert "could lead root to another file" in failure.message
        assert failure.fix.startswith("Set owner: ")
    assert traces(open_path) == before


def a_file_of_hers(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    own(path, "{}")


def a_directory_of_hers(path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, ALICE, ALICE)
    own(path, "{}")


@pytest.mark.parametrize(
    ("after", "name", "trick"),
    [
        ("locate", "config.json", a_file_of_hers),
        ("locate", "docker/config.json", a_directory_of_hers),
        ("make_directories", "docker/config.json", a_file_of_hers),
        ("locked", "config.json", a_file_of_hers),
        ("_read", "config.json", a_file_of_hers),
        ("_remember", "config.json", a_file_of_hers),
    ],
)
def test_root_without_owner_gives_nothing_to_who_comes_between_a_look_and_a_write(
    open_path: Path, after: str, name: str, trick: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sticky directory she makes what root has just found missing, and would be given root's login with it."""
    shared = open_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    path, step, given = shared / name, getattr(writing, after), []

    def and_then_she(*words: Any, **more: Any) -> Any:
        done = step(*words, **more)
        if not path.exists():
            if after == "make_directories":
                os.chown(path.parent, ALICE, ALICE)  # as if she had been the faster one
            trick(path)
        return done

    monkeypatch.setattr(writing, after, and_then_she)
    monkeypatch.setattr(os, "fchown", lambda _file, uid, gid: given.append((uid, gid)))
    assert refusal(lambda: sink(path).deliver(HOST, credential())).reason is Reason.DENIED
    assert path.read_text() == "{}"
    assert given == []
    assert names_in(path.parent) == {"config.json"}


def test_in_a_sticky_directory_no_token_takes_the_mode_of_another_users_file(open_path: Path) -> None:
    shared = open_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    own(shared / "config.json", "{}")
    (shared / "config.json").chmod(0o644)
    code = (
        "import os, sys; from tests.unit.job.sinks.docker_world import *\n"
        "ours, modes, chmod = sink(sys.argv[1]), [], os.fchmod\n"
        "os.fchmod = lambda file, mode: (modes.append(mode), chmod(file, mode))\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "print(refusal(lambda: ours.deliver(HOST, credential())).reason, {*modes} - {0o600})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(shared / "config.json")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "denied set()\n"


def test_root_without_owner_writes_where_only_root_can(open_path: Path) -> None:
    above = open_path / "shared"
    above.mkdir()
    above.chmod(0o1777)
    path = above / "roots" / "config.json"
    assert sink(path).deliver(HOST, credential()).outcome is Outcome.WRITTEN  # root's own directory in a sticky one
    assert sink(path).deliver(OTHER_HOST, credential()).outcome is Outcome.WRITTEN


def test_another_users_file_chooses_no_helper_that_runs_with_our_rights(
    open_path: Path, helper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root without owner may serve her file in root's own directory: it may not choose among root's helpers."""
    kept_in, path = helper("test"), open_path / "config.json"
    own(path, '{"credsStore": "test"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(open_path))
    ours = sink(path)
    calls = (lambda: ours.look(HOST, NOW), lambda: ours.deliver(HOST, credential()), lambda: ours.inspect(HOST))
    for call in calls:
        failure = refusal(call)
        assert failure.reason is Reason.DENIED
        assert failure.message == f"{path} belongs to uid {ALICE} and names docker-credential-test, to be run as uid 0"
        assert failure.fix == f'Set owner: "{ALICE}", or chown the file to uid 0'
    assert {found.login for found in ours.readers(HOST).found} <= {"unusable", "none"}
    assert refusal(lambda: sink(path, uid=BOB, gid=BOB).look(HOST, NOW)).reason is Reason.DENIED  # nor bob's helpers
    assert list(kept_in.iterdir()) == []
    own(path, '{"credsStore": "ecr-login"}')
    assert ours.look(HOST, NOW).own_record  # that one is not run


def test_nobody_waits_for_a_file_whose_child_hangs(home: Path, open_path: Path, helper: Any) -> None:
    helper("test", "exec sleep 8")
    own(home / "config.json", '{"credsStore": "test"}')
    thread = threading.Thread(target=lambda: refusal(lambda: hers(home / "config.json").look(HOST, NOW)), daemon=True)
    thread.start()
    began = time.monotonic()
    bobs = open_path / "bob"
    bobs.mkdir()
    os.chown(bobs, BOB, BOB)
    sink(bobs / "config.json", uid=BOB, gid=BOB).deliver(HOST, credential())
    assert time.monotonic() - began < 6
    assert thread.is_alive()
    thread.join(30)
