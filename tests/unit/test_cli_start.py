"""What each command does before anything else: to its descriptors."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST_OPENED = """
import os, sys
from ecr_refresher import cli
cli._do = lambda words: os.open(os.devnull, os.O_RDONLY)
os._exit(cli.main(["status"]))
"""


@pytest.mark.parametrize("closed", ["", "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_what_is_opened_first_is_none_of_the_standard_descriptors_though_some_are_closed(closed: str) -> None:
    shell = f'exec "{sys.executable}" -c "$0" {closed}'
    assert subprocess.run(["/bin/sh", "-c", shell, FIRST_OPENED], check=False).returncode > 2
