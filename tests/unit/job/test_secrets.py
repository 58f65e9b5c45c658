"""Secrets where the settings refer to them: read afresh, hidden from messages, and clear about what is wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from ecr_refresher import logs
from ecr_refresher.core.budgets import SECRET_MAX
from ecr_refresher.core.model import Failed, Reason, Secret
from ecr_refresher.core.plan import SecretRef
from ecr_refresher.job.files.secrets import read_secret

TEXT = "correct horse battery"


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_hidden", set())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(0o600)
    return path


def file(path: Path) -> SecretRef:
    return SecretRef("file", str(path))


def refusal(ref: SecretRef, environ: dict[str, str] | None = None) -> Failed:
    with pytest.raises(Failed) as caught:
        read_secret(ref, environ or {})
    return caught.value


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (TEXT, TEXT),
        (f"{TEXT}\n", TEXT),
        (f"{TEXT}\r\n", TEXT),
        (f"{TEXT}\n\n", f"{TEXT}\n"),
        (f" {TEXT} \n", f" {TEXT} "),
        ("pässwörd\n", "pässwörd"),
    ],
)
def test_a_file_holds_the_secret_and_one_line_end(path: Path, content: str, secret: str) -> None:
    path.write_bytes(content.encode())
    assert read_secret(file(path)) == Secret(secret)


def test_a_file_is_read_afresh_each_time(path: Path) -> None:
    path.write_text("first one")
    assert read_secret(file(path)) == Secret("first one")
    path.write_text("second one")
    assert read_secret(file(path)) == Secret("second one")


def test_a_variable_holds_the_secret_as_it_is() -> None:
    assert read_secret(SecretRef("env", "PASSWORD"), {"PASSWORD": TEXT}) == Secret(TEXT)


def test_the_process_s_own_environment_is_asked_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_REFRESHER_TEST_PASSWORD", TEXT)
    assert read_secret(SecretRef("env", "ECR_REFRESHER_TEST_PASSWORD")) == Secret(TEXT)


def test_what_was_read_is_masked_in_every_message_from_then_on(path: Path) -> None:
    path.write_text(TEXT)
    assert TEXT in logs.redact(f"wrong: {TEXT}")
    read_secret(file(path))
    assert logs.redact(f"wrong: {TEXT}") == "wrong: ***"


def test_a_file_that_is_not_there_yet_is_missing_and_says_which(path: Path) -> None:
    path.unlink()
    failed = refusal(file(path))
    assert failed.failure.reason is Reason.MISSING
    assert str(path) in str(failed)
    assert "does not exist (yet)" in str(failed)


def test_a_variable_that_is_not_set_is_missing_and_says_which() -> None:
    failed = refusal(SecretRef("env", "PASSWORD"))
    assert failed.failure.reason is Reason.MISSING
    assert "PASSWORD is not set" in str(failed)


def test_a_variable_that_is_not_utf_8_is_invalid_and_not_shown() -> None:
    failed = refusal(SecretRef("env", "PASSWORD"), {"PASSWORD": os.fsdecode(b"hunter2\xff")})
    assert failed.failure.reason is Reason.INVALID
    assert failed.failure.message == "the environment variable PASSWORD is not UTF-8 text"
    assert "hunter2" not in str(failed)


def test_an_empty_secret_is_missing(path: Path) -> None:
    path.write_text("\n")
    for failed in (refusal(file(path)), refusal(SecretRef("env", "PASSWORD"), {"PASSWORD": ""})):
        assert failed.failure.reason is Reason.MISSING
        assert "is empty" in str(failed)


def test_what_can_t_be_a_secret_file_is_invalid_and_not_shown(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"\xff\xfesecret-in-other-code")
    assert "not UTF-8 text" in str(refusal(file(path)))
    assert "other-code" not in str(refusal(file(path)))
    path.write_bytes(b"x" * (SECRET_MAX + 1))
    assert "larger than" in str(refusal(file(path)))
    assert "not a regular file" in str(refusal(file(tmp_path)))
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in str(refusal(file(tmp_path / "fifo")))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "sock"))
        assert "can't be read" in str(refusal(file(tmp_path / "sock")))
    for ref in (path, tmp_path, tmp_path / "sock", tmp_path / "fifo"):
        assert refusal(file(ref)).failure.reason is Reason.INVALID


def test_a_file_that_may_not_be_read_is_denied_and_says_to_whom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)  # root may read everything
    failed = refusal(file(path))
    monkeypatch.undo()
    assert failed.failure.reason is Reason.DENIED
    assert f"uid {os.geteuid()}" in str(failed)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_file_that_everybody_may_read_draws_a_warning(path: Path, mode: int, warned: bool) -> None:
    path.write_text(TEXT)
    path.chmod(mode)
    with structlog.testing.capture_logs() as said:
        read_secret(file(path))
    assert [(line["event"], line["log_level"]) for line in said] == [("secret_world_readable", "warning")] * warned
    assert all(str(path) in line["error"] and TEXT not in repr(line) for line in said)


def test_the_file_is_closed(path: Path) -> None:
    path.write_text(TEXT)
    count: Callable[[], int] = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
    before = count()
    read_secret(file(path))
    assert count() == before


@pytest.mark.parametrize("trick", ["the file", "a directory"])
def test_root_is_led_nowhere_by_another_user_s_link(open_path: Path, as_root: None, trick: str) -> None:
    """What it reads goes to a server that may be that user's."""
    alice, roots, hers = 23_456, open_path / "roots", open_path / "hers"
    roots.mkdir(mode=0o700)
    (roots / "password").write_text(TEXT)
    hers.mkdir()
    (hers / "own").write_text("her own")
    if trick == "the file":
        path = hers / "password"
        path.symlink_to(roots / "password")
    else:
        path = hers / "directory" / "password"
        path.parent.symlink_to(roots)
    for each in (hers, *hers.iterdir()):
        os.chown(each, alice, alice, follow_symlinks=False)
    failure = refusal(file(path)).failure
    assert (failure.reason, failure.fix) == (Reason.DENIED, "Name the file itself, without links")
    assert TEXT not in failure.message
    assert read_secret(file(hers / "own")) == Secret("her own")
    (open_path / "link").symlink_to(roots / "password")  # a link of root's, as Kubernetes mounts secrets
    assert read_secret(file(open_path / "link")) == Secret(TEXT)
