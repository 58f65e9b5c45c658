"""What each command does before anything else: to its descriptors, and to Python's collector of garbage."""

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
OF_A_WORKER = """
import gc
from ecr_refresher import cli
from ecr_refresher.job import worker
worker.serve = lambda: print(gc.get_threshold()[0]) or 0
cli.main([cli.WORKER])
"""
OF_A_LISTENER = """
import gc
from ecr_refresher import cli
from ecr_refresher.core import plan, wire
from ecr_refresher.job.cleanup import listener
listener.listen = lambda *_: print(gc.get_threshold()[0])
cli._collect_seldom()
listener.serve(wire.Job(1, 0.0, plan=plan.Plan(()), kind="listen"), print, 1, exit)
"""


@pytest.mark.parametrize("closed", ["", "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_what_is_opened_first_is_none_of_the_standard_descriptors_though_some_are_closed(closed: str) -> None:
    shell = f'exec "{sys.executable}" -c "$0" {closed}'
    assert subprocess.run(["/bin/sh", "-c", shell, FIRST_OPENED], check=False).returncode > 2


@pytest.mark.parametrize(("process", "objects"), [(OF_A_WORKER, "500000"), (OF_A_LISTENER, "700")])
def test_a_process_that_soon_ends_looks_for_garbage_seldom_and_one_that_stays_as_ever(
    process: str, objects: str
) -> None:
    done = subprocess.run([sys.executable, "-c", process], stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout.split() == [objects]
