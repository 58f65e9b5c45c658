"""The hunt for secrets finds what it must, says where, and fails the run."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.testbed import parts
from tests.testbed.secret_hunt import Outputs, Secrets, hunt

# The tests of this file hunt in directories of their own: nothing here may reach the run's outputs.
SECRET = 'a/very+secret "pässword"=='
TOKEN = "".join(chr(ord("a") + n * n % 26) + str(n) for n in range(400))


@pytest.mark.parametrize(
    "printed",
    [
        pytest.param(lambda s: s, id="raw"),
        pytest.param(json.dumps, id="JSON"),
        pytest.param(lambda s: repr(s.encode())[2:-1] if s.isascii() else repr(s), id="repr"),
        pytest.param(lambda s: quote(s, safe=""), id="URL"),
        pytest.param(lambda s: base64.b64encode(s.encode()).decode(), id="base64"),
        pytest.param(lambda s: base64.b64encode(b"AWS:" + s.encode()).decode(), id="base64 of a login"),
        pytest.param(lambda s: base64.b64encode(b"user:" + s.encode() + b"\n").decode(), id="base64 in between"),
        pytest.param(lambda s: base64.urlsafe_b64encode(b"{" + s.encode() + b"}").decode(), id="base64 for URLs"),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["password", "token"])
def test_a_secret_is_found_in_every_form(tmp_path: Path, secret: str, printed: Callable[[str], str]) -> None:
    (tmp_path / "log").write_text(f"nothing\nhere: {printed(secret)}, and on\n")
    hits = hunt([secret, "another-secret"], tmp_path)
    assert hits
    assert all(hit.startswith("log, line 2: ") for hit in hits)
    assert secret not in "".join(hits)


def test_a_cut_off_token_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"error near {TOKEN[300:420]}…")
    assert hunt([TOKEN], tmp_path) == ["log, line 1: a secret (a piece of it)"]


@pytest.mark.parametrize("width", [64, 72, 76])
@pytest.mark.parametrize("form", [lambda s: s, lambda s: base64.b64encode(b"AWS:" + s.encode()).decode()])
def test_a_token_broken_into_lines_is_found(tmp_path: Path, form: Callable[[str], str], width: int) -> None:
    (tmp_path / "log").write_text("\n  ".join(textwrap.wrap(form(TOKEN), width)))
    assert hunt([TOKEN], tmp_path)


def test_where_there_is_no_secret_nothing_is_found(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "outputs")
    assert hunt([TOKEN], outputs.directory) == []
    outputs.keep("a name/with: all sorts", "a body")
    outputs.path("log").write_bytes(b"\xff\x00 not text")
    assert hunt([SECRET, TOKEN], outputs.directory) == []
    assert hunt([], outputs.directory) == []


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="7 characters"):
        Secrets().add("hunter2")


def test_what_a_book_issues_later_is_a_secret_too(tmp_path: Path) -> None:
    issued: list[str] = []
    secrets = Secrets()
    secrets.follow(lambda: issued)
    issued.append(TOKEN)
    (tmp_path / "log").write_text(TOKEN[:100])
    assert hunt(secrets, tmp_path)


def test_names_used_twice_are_two_files(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    assert outputs.path("t[a-b].stderr") != outputs.path("t[a-b].stderr")


RUN = """
def test_that_uses_a_secret(secrets_seen, outputs):
    secrets_seen.add({secret!r})
    outputs.keep("daemon.stderr", "all is well")

def test_that_prints(outputs):
    {action}
"""


@pytest.mark.parametrize("workers", ["0", "1"], ids=["one process", "xdist"])
@pytest.mark.parametrize(
    ("action", "exit_code", "closing"),
    [
        ("pass", 0, "2 passed"),
        (f"outputs.keep('x.http', 'password={SECRET}')", 1, "2 passed, 1 error"),
        (f"print({SECRET!r})", 1, "2 passed, 1 error"),
    ],
    ids=["clean", "in an output", "in what a test captured"],
)
def test_a_run_fails_for_a_secret_in_its_outputs(
    tmp_path: Path, workers: str, action: str, exit_code: int, closing: str
) -> None:
    (tmp_path / "test_inner.py").write_text(RUN.format(secret=SECRET, action=action))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = [
        "-p",
        "tests.testbed.hunting",
        "-p",
        "no:cacheprovider",
        "-n",
        workers,
        "--outputs",
        str(tmp_path / "outputs"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), *options, str(tmp_path / "test_inner.py")],
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))},
        cwd=parts.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert closing in done.stdout.splitlines()[-1]
    assert SECRET not in done.stdout
    assert ("Secrets stand in the outputs" in done.stdout) == bool(exit_code)
