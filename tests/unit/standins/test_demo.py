"""The demo: the real daemon, renewals that anybody can watch, and nothing left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecr_refresher.standins import demo
from ecr_refresher.terminal import Progress
from tests.testbed.daemon import PRODUCT, clean_environment

Begun = subprocess.Popen[str]


def begin(tmp_path: Path, *arguments: str) -> Begun:
    env = clean_environment(tmp_path, env={"TMPDIR": str(tmp_path)})
    return subprocess.Popen([*PRODUCT, "demo", *arguments], env=env, stdout=subprocess.PIPE, text=True)


def test_the_demo_shows_a_renewal_everywhere_and_leaves_nothing(tmp_path: Path) -> None:
    with begin(tmp_path, "--for", "18s") as begun:
        said, _ = begun.communicate(timeout=50)
    assert begun.returncode == 0, said
    # Tokens of 12 s are renewed about every 8 s: a second renewal may just come before the end.
    assert said.count("new token from ECR") in (2, 3), said
    assert re.search(r"delivered to airflow/default/docker_default, valid until \d{4}-", said)
    assert "ready: every slot holds a valid token" in said
    assert said.endswith("renewals were delivered everywhere\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_demo_and_daemon(tmp_path: Path, number: signal.Signals) -> None:
    with begin(tmp_path) as begun:
        assert begun.stdout is not None
        line = begun.stdout.readline()
        while "delivered to" not in line:
            line = begun.stdout.readline()
            assert line, "the demo ended too early"
        begun.send_signal(number)
        rest = begun.stdout.read()  # to the end: whoever of its processes still ran would hold this pipe
        assert begun.wait(30) == 1
    assert "renewals were NOT delivered everywhere" in rest
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_ends_by_itself_ends_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    before, progress = signal.getsignal(signal.SIGTERM), Progress(sys.stdout)
    try:
        program = "import sys; print('no JSON', file=sys.stderr); sys.exit(3)"
        assert demo.run([sys.executable, "-c", program], None, progress.say, progress.show) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().out
    assert "no JSON\n" in said
    assert "the daemon ended by itself, with exit code 3" in said
    assert said.count(": 0 renewal(s); the registry's verdict on its token: nothing") == 2
