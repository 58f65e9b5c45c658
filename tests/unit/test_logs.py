"""Logs: one JSON object a line on stderr, nothing secret in any of them, and no harm from a stderr that is gone."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher import logs
from ecr_refresher.core.model import Failure, Reason, Secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
TOKEN = base64.b64encode(bytes(range(256)) * 6).decode()


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test configures or hides is its own affair."""
    monkeypatch.setattr(logs, "_hidden", set())
    with warnings.catch_warnings():
        yield
    structlog.reset_defaults()
    logging.disable(logging.NOTSET)


Said = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """The lines on stderr since the last question; each must be one JSON object."""

    def read() -> list[dict[str, Any]]:
        captured = capfd.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    return read


# --- redaction -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {JWT} expired", "token *** expired"),
        ("key AKIAIOSFODNN7EXAMPLE is unknown", "key *** is unknown"),
        ("key ASIAIOSFODNN7EXAMPLE is unknown", "key *** is unknown"),
        ("Authorization: Basic QVdTOnB3", "Authorization: Basic ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("GET https://user:pa55@proxy.example.com:3128/x", "GET https://***@proxy.example.com:3128/x"),
        ("GET http://user@proxy", "GET http://***@proxy"),
        (f"got {TOKEN}.", "got ***."),
        (f'{{"password": "{TOKEN}"}}', '{"password": "***"}'),
        (f"two: {JWT} and {TOKEN}", "two: *** and ***"),
        (TOKEN.replace("+", "-").replace("/", "_"), "***"),
        ("a" * 80, "***"),
        ("QVdTOnB3" * 11 + "/" + "x1Y" * 9, "***"),
    ],
)
def test_whatever_has_the_shape_of_a_secret_is_masked(text: str, shown: str) -> None:
    assert logs.redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com refuses the new token, and another one; the old one stays",
        "arn:aws:iam::210987654321:role/ecr-pull",
        "https://airflow.example.com/deployment",
        "docker//home/airflow/.docker/config.json",
        "docker//var/lib/kubelet/pods/0b2f3c44-1f65-4e0f-8f1a-6a0b1c2d3e4f/volumes/kubernetes-empty-dir/docker/config",
        "/" + "/".join(["a-directory-of-some-length"] * 20),
        "2027-01-15T20:00:00Z",
        "mail bob@example.com",
        "",
    ],
)
def test_what_people_need_to_read_is_left_readable(text: str) -> None:
    assert logs.redact(text) == text


@given(st.integers(0, 2**64), st.integers(150, 4000), st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))
def test_no_random_bytes_in_base64_are_shown(seed: int, length: int, encode: Callable[[bytes], bytes]) -> None:
    text = encode(random.Random(seed).randbytes(length)).decode()
    assert logs.redact(f"it was {text}.") == "it was ***."


@given(st.text("abcdef012345", min_size=4), st.text("abcdef012345 ="), st.text("abcdef012345 ="))
def test_a_hidden_text_is_masked_wherever_it_turns_up(secret: str, before: str, after: str) -> None:
    assert logs.hide(Secret(secret)) == Secret(secret)
    assert secret not in logs.redact(before + secret + after)


def test_a_hidden_text_inside_a_word_is_masked_too() -> None:
    logs.hide(Secret("hunter2!"))
    assert logs.redact("user=bob&password=hunter2!&x=1") == "user=bob&password=***&x=1"


def test_a_text_of_one_to_three_letters_is_not_hidden_since_it_would_tear_holes_into_words() -> None:
    logs.hide(Secret("the"))
    assert logs.redact("the weather") == "the weather"


def test_of_hidden_texts_of_which_one_holds_another_nothing_stays() -> None:
    for secret in ("middle", "a-middle-of-it", "aaaa"):
        logs.hide(Secret(secret))
    assert logs.redact("x a-middle-of-it aaaaaaaa y") == "x *** ****** y"


def test_texts_are_hidden_while_other_threads_mask_theirs() -> None:
    def hide(number: int) -> None:
        for count in range(2_000):
            logs.hide(Secret(f"{number}-{count}-secret"))

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            hiding = [threads.submit(hide, number) for number in range(3)]
            while not all(future.done() for future in hiding):
                assert logs.redact("a line to be masked") == "a line to be masked"
            for future in hiding:
                future.result()
    finally:
        sys.setswitchinterval(switching)
    assert logs.redact("it is 2-1999-secret, 0-0-secret") == "it is ***, ***"


# --- lines -----------------------------------------------------------------------------------------------------------
def test_a_line_is_one_json_object_with_time_level_and_event_in_front(said: Said) -> None:
    logs.configure()
    logs.get().info("delivered", registry="own", duration_s=0.25, repaired=True, error=None, reason=Reason.DENIED)
    (line,) = said()
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "level": "info",
        "event": "delivered",
        "registry": "own",
        "duration_s": 0.25,
        "repaired": True,
        "reason": "denied",
    }


def test_a_text_of_several_lines_stays_one_line(said: Said) -> None:
    logs.configure()
    logs.get().error("broken", error="one\ntwo\r\nthree\u2028four")
    (line,) = said()
    assert line["error"] == "one\ntwo\r\nthree\u2028four"


def test_every_field_is_redacted_whatever_its_type(said: Said) -> None:
    logs.configure()
    logs.hide(Secret("hunter2!"))
    logs.get().warning("odd", a=f"x {JWT}", b=[TOKEN], c={"k": "hunter2!"}, d=ValueError("hunter2!"), e=Secret("s"))
    (line,) = said()
    text = json.dumps(line)
    assert line["a"] == "x ***"
    assert line["e"] == "***"
    for secret in (JWT, TOKEN, "hunter2!"):
        assert secret not in text


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_said(said: Said, level: str, heard: list[str]) -> None:
    logs.configure(level)
    for name in ("debug", "info", "warning", "error"):
        getattr(logs.get(), name)("event")
    assert [line["level"] for line in said()] == heard


def test_the_level_may_be_changed_while_running(said: Said) -> None:
    logs.configure("error")
    logs.get().info("unheard")
    logs.configure("debug")
    logs.get().debug("heard")
    assert [line["event"] for line in said()] == ["heard"]


def test_the_libraries_own_loggers_are_silent_at_every_level_of_ours(said: Said) -> None:
    logs.configure("debug")
    library, heard = logging.getLogger("botocore.endpoint"), logging.StreamHandler()
    library.setLevel(logging.DEBUG)
    library.addHandler(heard)
    for level in (logging.DEBUG, logging.CRITICAL):
        library.log(level, "Response body: %s", TOKEN)
    library.removeHandler(heard)
    assert said() == []


def test_the_console_is_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    logs.hide(Secret("hunter2!"))
    logs.get().info("delivered", registry="own", error="hunter2!")
    text = capfd.readouterr().err
    assert "delivered" in text
    assert "registry=own" in text
    assert "hunter2!" not in text
    assert "\x1b" not in text  # no colours where nobody looks at a terminal
    assert text.count("\n") == 1


def test_an_exception_on_the_console_shows_no_local_variables(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")

    def fail() -> None:
        password = "-".join(["hunter2", "in", "a", "local"])
        raise LookupError(len(password))

    try:
        fail()
    except LookupError:
        logs.get().error("broken", exc_info=True)
    text = capfd.readouterr().err
    assert "LookupError" in text
    assert "hunter2-in-a-local" not in text


def test_the_place_of_an_error_is_told_and_its_values_are_not() -> None:
    try:
        raise KeyError(TOKEN)
    except KeyError as error:
        message = logs.fault_of(error).message
    assert re.fullmatch(r"a fault of ecr-refresher: KeyError at test_logs\.py:\d+", message)
    assert logs.fault_of(KeyError(TOKEN)) == Failure(
        Reason.INTERNAL, "a fault of ecr-refresher: KeyError at nowhere", logs.REPORT_IT
    )


# --- what others write -----------------------------------------------------------------------------------------------
HOSTILE = "\x1b[2J\x1b]0;owned\x07 a\nsecond line\r\u202e\x9b1m"


def test_control_characters_are_escaped_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    logs.get().info("delivered", error=HOSTILE, sink=HOSTILE.replace(" ", ""))
    logs.tell_settings_errors([HOSTILE])
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert lines[1] == (r"ecr-refresher: settings: \x1b[2J\x1b]0;owned\x07 a\nsecond line\r\u202e\x9b1m")


def test_a_fix_is_a_field_like_any_other(said: Said) -> None:
    logs.configure()
    logs.get().error("delivery_failed", reason=Reason.DENIED, error="answered 403", fix="Give it can_edit")
    assert list(said()[0])[3:] == ["reason", "error", "fix"]


def run(program: str) -> list[dict[str, Any]]:
    """The lines that a program logs; each must be a JSON object, and nothing may be on standard output."""
    program = f"from ecr_refresher import logs\nlogs.configure('debug')\nlogs.silence_libraries()\n{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_library_s_warning_is_a_log_line() -> None:
    (line,) = run("import warnings; warnings.warn(' '.join(['Bearer', 'hunter2']))")
    assert (line["level"], line["event"]) == ("debug", "library_warned")
    assert (line["kind"], line["error"]) == ("UserWarning", "Bearer ***")


def test_what_a_library_prints_is_logged_line_by_line() -> None:
    lines = run(
        "import contextlib\n"
        "with contextlib.redirect_stdout(logs.Printed()): print('one', end=''); print(' line\\n\\nBearer hunter2')"
    )
    assert [(line["event"], line["text"]) for line in lines] == [
        ("library_printed", "one line"),
        ("library_printed", "Bearer ***"),
    ]


def test_an_exception_that_ends_a_thread_shows_its_place_and_no_value() -> None:
    (line,) = run(
        "import threading\n"
        "def fail(): raise LookupError('hunter2')\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()"
    )
    assert (line["event"], line["reason"], line["fix"]) == ("thread_ended", "internal", logs.REPORT_IT)
    assert line["error"] == "a fault of ecr-refresher: LookupError at <string>:5"


# --- a stderr that is gone -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fmt", ["json", "console"])
@pytest.mark.parametrize("gone", ["os.close(2)", "r, w = os.pipe(); os.close(r); os.dup2(w, 2)"])
def test_a_stderr_that_is_closed_or_broken_ends_nothing(fmt: str, gone: str) -> None:
    program = (
        "import os, signal; from ecr_refresher import logs\n"
        f"logs.configure('info', '{fmt}'); {gone}\n"
        "for _ in range(3): logs.get().error('unheard', error='x' * 1000)\n"
        "os.write(1, b'alive')"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    assert (done.stdout, done.returncode) == (b"alive", 0)


def test_a_full_disk_behind_stderr_ends_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    program = "from ecr_refresher import logs; logs.configure(); logs.get().error('unheard'); print('alive')"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False)
    os.close(full)
    assert (done.stdout, done.returncode) == (b"alive\n", 0)


def test_a_line_of_progress_is_cleared_before_each_line_and_in_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    def clear() -> None:
        os.write(2, b"<")

    with logs.lines_above(clear):
        logs.get().info("one")
    logs.get().info("two")
    assert re.sub(r"\{.*?\}", "{}", capfd.readouterr().err) == "<{}\n<{}\n"
