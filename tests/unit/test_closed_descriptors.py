"""Started with closed standard descriptors, as some supervisors do, it opens no file of its own in their place."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_OPENED = """
import os, sys
from ecr_refresher import cli
cli._fill_what_is_closed()
os._exit(os.open(os.devnull, os.O_RDONLY))
"""


@pytest.mark.parametrize("closed", ["", "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_what_is_opened_first_is_none_of_the_three(closed: str) -> None:
    shell = f'exec "{sys.executable}" -c "$0" {closed}'
    assert subprocess.run(["/bin/sh", "-c", shell, FIRST_OPENED], check=False).returncode > 2
