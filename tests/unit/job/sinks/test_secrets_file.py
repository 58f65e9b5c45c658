"""Connections in a file: ours renewed, all else kept, replaced whole."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Connection, SecretsFile
from ecr_refresher.job.sinks.airflow.backends import file_format
from ecr_refresher.job.sinks.airflow.backends.secrets_file import SecretsFileSink
from tests.testbed.secret_hunt import Secrets

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DOCKER = Connection("docker_default", HOST)
TOKEN = "a-token-of-ecr-" + "Zm9v" * 500
UNTIL = 1_795_000_000.0
MARKER = f"[ecr-refresher: {HOST} until 2026-11-18T11:06:40Z]"


def credential(token: str = TOKEN) -> Credential:
    return Credential("AWS", Secret(token), UNTIL - 43_200, UNTIL)


def wanted(_: Holding) -> bool:
    return True


@pytest.fixture(autouse=True)
def hunted(secrets_seen: Secrets) -> None:
    secrets_seen.add(TOKEN)


def sink(path: Path, mode: int | None = None) -> SecretsFileSink:
    return SecretsFileSink(SecretsFile(str(path), mode))


def failure(act: Any, reason: Reason, *words: str) -> None:
    with pytest.raises(Failed) as caught:
        act()
    assert caught.value.failure.reason is reason
    for word in words:
        assert word in str(caught.value.failure)
    assert caught.value.failure.fix
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", ["connections.json", "connections.yaml", "connections.yml"])
def test_a_new_file_holds_what_a_pull_needs(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    assert sink(path).look(DOCKER, HOST) == NOTHING
    assert sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert yaml.safe_load(path.read_text()) == {
        "docker_default": {
            "conn_type": "docker",
            "host": HOST,
            "login": "AWS",
            "password": TOKEN,
            "description": MARKER,
        }
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sink(path).look(DOCKER, HOST) == Holding(UNTIL)


YAML = """\
# connections of the data team
other: postgres://u:p@db/s   # stays
docker_default:
  conn_type: docker
  host: elsewhere
  description: ask Ada
  extra:
    reauth: true   # why not
  port: 5000

last: {conn_type: http, host: example.com}
"""


def test_of_a_yaml_file_only_the_one_entry_changes(tmp_path: Path) -> None:
    path = tmp_path / "connections.yaml"
    path.write_text(YAML)
    path.chmod(0o640)
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    text = path.read_text()
    assert text.startswith("# connections of the data team\nother: postgres://u:p@db/s   # stays\n")
    assert text.endswith("last: {conn_type: http, host: example.com}\n")
    assert yaml.safe_load(text)["docker_default"] == {
        "conn_type": "docker",
        "host": HOST,
        "login": "AWS",
        "password": TOKEN,
        "description": f"ask Ada {MARKER}",
        "extra": {"reauth": True},
        "port": 5000,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "{a: http://x}\n",
        "{}",
        "---\na: http://x\n...\n",
        "a: &x {conn_type: http}\nb: *x\n",
        "docker_default: &x {conn_type: http}\nb: *x\n",
        "b: http://x\ndocker_default: {host: a}",
        "b: http://x\ndocker_default:\n  host: a",
        "docker_default:\nb: []\n",
        "docker_default: {host: a}   # comment\nb: [{host: x}]",
        "base: &base {port: 1}\ndocker_default:\n  <<: *base\n  host: a\nb: http://x\n",
    ],
)
def test_every_way_of_writing_yaml_keeps_the_other_entries(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connections.yaml"
    path.write_text(text)
    before = yaml.safe_load(text) or {}
    for _ in range(2):
        assert sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
        after = yaml.safe_load(path.read_text())
        assert after["docker_default"]["password"] == TOKEN
        assert {**after, "docker_default": 0} == {**before, "docker_default": 0}


NAMES = st.text("ab_.-\u00e9", min_size=1, max_size=6).map(lambda name: f"c{name}")
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
ENTRIES = st.dictionaries(NAMES, st.dictionaries(NAMES, PLAIN | st.dictionaries(NAMES, PLAIN)), max_size=4)


@given(ENTRIES, NAMES, st.dictionaries(NAMES, PLAIN, min_size=1), st.booleans(), st.sampled_from(["x.yaml", "x.json"]))
def test_any_document_is_replaced_in_one_place(
    entries: dict[str, Any], name: str, new: dict[str, Any], flow: bool, path: str
) -> None:
    dumped = json.dumps(entries) if path == "x.json" else yaml.safe_dump(entries, default_flow_style=flow)
    assert file_format.read(file_format.replaced(dumped, path, name, new), path) == {**entries, name: new}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.json", "{", "is not JSON (line 1)"),
        ("c.json", "[]", "does not hold an object"),
        ("c.json", '{"a": 1, "a": 2}', "has a key twice"),
        ("c.yaml", "a: 1\na: 2\n", "has a key twice"),
        ("c.yaml", "a: [", "is not YAML"),
        ("c.yaml", "a: 2001-13-45\n", "is not YAML"),
        ("c.yaml", "? [a, b]\n: c\n", "is not YAML"),
        ("c.yaml", f"a: {'9' * 5000}\n", "is not YAML"),
        ("c.yaml", "[" * 400, "is not YAML"),
        ("c.yaml", "- a\n", "does not hold an object"),
        ("c.yaml", "docker_default: docker://AWS:secret-in-uri@host\n", "as a URI or list. Write it as a mapping"),
        ("c.yaml", f"docker_default: {{uri: 'docker://AWS:secret-in-uri@{HOST}'}}\n", "as a URI or list"),
        ("c.yaml", b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_that_makes_no_sense_stays_as_it_is(tmp_path: Path, name: str, text: str | bytes, words: str) -> None:
    path = tmp_path / name
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(raw)
    failure(lambda: sink(path).look(DOCKER, HOST), Reason.INVALID, str(path), words)
    failure(
        lambda: sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted), Reason.INVALID, str(path), words
    )
    assert path.read_bytes() == raw


@pytest.mark.timeout(20)
def test_nested_aliases_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    lines = ["a0: &a0 {extra: x}", *(f"a{n}: &a{n} {{extra: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12))]
    path.write_text("\n".join(lines) + "\n")
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert path.read_text().startswith(lines[0])
    assert sink(path).look(DOCKER, HOST) == Holding(UNTIL)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"uri": "http://x", "login": "secret-of-theirs"}, "'other' with fields beside its uri"),
        (["http://x", "http://y"], "'other' as neither a mapping nor a URI"),
        (5, "'other' as neither a mapping nor a URI"),
        (None, "'other' as neither a mapping nor a URI"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["c.json", "c.yaml"])
def test_a_file_of_which_airflow_reads_nothing_for_another_entry_is_no_delivery(
    tmp_path: Path, name: str, other: Any, words: str
) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"other": other}))
    before = path.read_bytes()
    failure(lambda: sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted), Reason.INVALID, words)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o644])
def test_an_existing_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(YAML)
    path.chmod(mode)
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    sink(path, 0o600).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "a mode that is given is put right"


def test_a_root_daemon_keeps_owner_and_group(tmp_path: Path, as_root: None) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(YAML)
    os.chown(path, 50_001, 50_000)
    path.chmod(0o640)
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    seen = path.stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (50_001, 50_000, 0o640)


WITHOUT_CAPABILITIES = """
import sys
from tests.unit.job.sinks.test_secrets_file import *
try:
    sink(Path(sys.argv[1])).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
except Failed as error:
    print(error.failure.reason.value)
"""


def test_root_that_may_not_give_files_away_does_not_lock_the_group_out(open_path: Path, as_root: None) -> None:
    """A container with `cap_drop: [ALL]`."""
    path = open_path / "c.yaml"
    path.write_text(YAML)
    os.chown(path, 0, 50_000)
    path.chmod(0o640)
    bare = ["setpriv", "--bounding-set", "-chown,-setgid", "--inh-caps", "-chown,-setgid", sys.executable, "-c"]
    done = subprocess.run([*bare, WITHOUT_CAPABILITIES, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [Reason.DENIED]
    seen = path.stat()
    assert (path.read_text(), seen.st_gid, stat.S_IMODE(seen.st_mode)) == (YAML, 50_000, 0o640)


ALICE = 20_000 + os.getpid() % 30_000  # nobody on any machine


def her_directory(open_path: Path) -> Path:
    (open_path / "hers").mkdir()
    os.chown(open_path / "hers", ALICE, ALICE)
    return open_path / "hers" / "c.yaml"


def her_link_to_roots_file(open_path: Path) -> Path:
    path = her_directory(open_path)
    path.symlink_to(open_path / "precious.yaml")
    os.chown(path, ALICE, ALICE, follow_symlinks=False)
    return path


def below_her_link(open_path: Path) -> Path:
    (open_path / "link").symlink_to(open_path)
    os.chown(open_path / "link", ALICE, ALICE, follow_symlinks=False)
    return open_path / "link" / "precious.yaml"


def her_file_in_a_sticky_directory(open_path: Path) -> Path:
    path = open_path / "shared" / "c.yaml"
    path.parent.mkdir()
    path.parent.chmod(0o1777)
    path.write_text(YAML)
    os.chown(path, ALICE, ALICE)
    return path


@pytest.mark.parametrize(
    "trick",
    [her_directory, her_link_to_roots_file, below_her_link, her_file_in_a_sticky_directory],
    ids=lambda trick: trick.__name__,
)
def test_root_writes_nowhere_that_another_user_controls_and_check_says_so(
    open_path: Path, as_root: None, trick: Callable[[Path], Path]
) -> None:
    precious = open_path / "precious.yaml"
    precious.write_text(YAML)
    path = trick(open_path)
    before = {file: file.lstat() for file in open_path.rglob("*")}
    ours = sink(path)
    for act in (
        lambda: ours.look(DOCKER, HOST),
        lambda: ours.inspect(DOCKER, HOST),
        lambda: ours.deliver(DOCKER, HOST, credential(), still_wanted=wanted),
        ours.examine,
    ):
        failure(act, Reason.DENIED, str(path), f"uid {ALICE} controls", "run as that user")
    after = {file: file.lstat() for file in open_path.rglob("*")}
    assert {file: seen.st_ino for file, seen in after.items()} == {file: seen.st_ino for file, seen in before.items()}
    assert precious.read_text() == YAML


def test_a_link_that_root_made_is_followed(open_path: Path, as_root: None) -> None:
    (open_path / "data").mkdir()
    (open_path / "c.yaml").symlink_to("data/c.yaml")
    assert sink(open_path / "c.yaml").deliver(DOCKER, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert (open_path / "c.yaml").is_symlink()
    assert sink(open_path / "data" / "c.yaml").look(DOCKER, HOST) == Holding(UNTIL)


def test_a_daemon_that_can_not_keep_the_group_does_not_lock_its_readers_out(
    open_path: Path, as_root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = open_path / "c.yaml"
    path.write_text(YAML)
    os.chown(path, 0, 50_000)
    path.chmod(0o644)
    before = path.stat()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # as anybody whose groups are not the file's
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)  # everybody may read it anyway
    os.chown(path, 0, 50_000)
    path.chmod(0o640)
    failure(
        lambda: sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted),
        Reason.DENIED,
        "belongs to the group 50000",
        "Join the group 50000",
    )
    assert path.stat().st_uid == before.st_uid


def test_create_false_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    only = Connection("docker_default", HOST, create=False)
    failure(lambda: sink(path).look(only, HOST), Reason.MISSING, "create: true")
    failure(lambda: sink(path).deliver(only, HOST, credential(), still_wanted=wanted), Reason.MISSING, "create: true")
    assert not path.exists()


def test_what_somebody_else_has_renewed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    before = path.read_bytes()
    asked: list[Holding] = []

    def no(seen: Holding) -> bool:
        asked.append(seen)
        return False

    assert sink(path).deliver(DOCKER, HOST, credential("another"), still_wanted=no) is Outcome.SKIPPED
    assert asked == [Holding(UNTIL)]
    assert path.read_bytes() == before


def test_readers_never_see_a_torn_file_and_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"own": {"conn_type": "http"}}')
    torn: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            text = path.read_text()
            if "own" not in json.loads(text):
                torn.append(text)

    def write(number: int) -> None:
        mine = Connection(f"docker_{number}", HOST)
        for _ in range(5):
            sink(path).deliver(mine, HOST, credential(), still_wanted=wanted)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not torn
    assert set(json.loads(path.read_text())) == {"own", *(f"docker_{number}" for number in range(6))}
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


# --- .env --------------------------------------------------------------------------------------------------------
ENV = """\
# of the data team
other=http://user:word@example.com/?a=b

docker_default=docker://old:old-password@elsewhere:5000/schema?reauth=false
last=postgres://x
"""
NOTE = f"# docker_default {MARKER}"


def test_of_an_env_file_only_the_one_line_changes_in_its_own_form(tmp_path: Path) -> None:
    path = tmp_path / "connections.env"
    path.write_text(ENV)
    assert sink(path).look(DOCKER, HOST) == NOTHING
    for password in ("to/ken+with=odd:signs@", TOKEN):
        assert sink(path).deliver(DOCKER, HOST, credential(password), still_wanted=wanted) is Outcome.WRITTEN
        line = f"docker_default=docker://AWS:{quote(password, safe='')}@{HOST}:5000/schema?reauth=false"
        old = "docker_default=docker://old:old-password@elsewhere:5000/schema?reauth=false"
        assert path.read_text() == ENV.replace(old, f"{NOTE}\n{line}")
        assert sink(path).look(DOCKER, HOST) == Holding(UNTIL)


@pytest.mark.parametrize("text", ["", "other=http://x", "other=http://x\n"])
def test_a_new_line_of_an_env_file_goes_to_its_end(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connections.env"
    path.write_text(text)
    nested = Connection("data/docker.default", HOST)
    for connection in (DOCKER, nested):
        assert sink(path).deliver(connection, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
        assert sink(path).look(connection, HOST) == Holding(UNTIL)
    lines = path.read_text().splitlines()
    assert lines == [
        *([text.rstrip()] if text else []),
        NOTE,
        f"docker_default=docker://AWS:{TOKEN}@{HOST}",
        f"# data/docker.default {MARKER}",
        f"data/docker.default=docker://AWS:{TOKEN}@{HOST}",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("docker_default\n", "a line 1 that is not ID=URI"),
        ("a=b\n=secret-of-theirs\n", "a line 2 that is not ID=URI"),
        ("docker_default=\n", "a line 1 that is not ID=URI"),
        ("a=http://x\na=http://y\n", "has a connection twice (line 2)"),
        ("docker_default=docker://x:secret-port/\n", "has no URI behind docker_default="),
    ],
)
def test_an_env_file_of_which_airflow_reads_nothing_stays_as_it_is(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "connections.env"
    path.write_text(text)
    failure(lambda: sink(path).deliver(DOCKER, HOST, credential(), still_wanted=wanted), Reason.INVALID, words)
    assert path.read_text() == text
