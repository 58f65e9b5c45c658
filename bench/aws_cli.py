"""AWS's own command line, in an environment of its own: `aws ecr get-login-password` is the floor of such scripts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.testbed import parts

VENV = parts.TESTBED / "awscli"
COMMAND = VENV / "bin" / "aws"


def prepared() -> Path | None:
    """The `aws` command, installed by pip where that can be; None where it can't be had."""
    if not COMMAND.exists():
        parts.TESTBED.mkdir(exist_ok=True)
        for command in (
            [sys.executable, "-m", "venv", str(VENV)],
            [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "awscli"],
        ):
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                return None
    return COMMAND
