"""The Kubernetes client is loaded where a plan has pull secrets, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import contextlib, sys
from ecr_refresher.core.model import Failed
from ecr_refresher.core.plan import KubernetesSecret, Plan, Principal, Registry
from ecr_refresher.job import worker
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.doctor.legs import kubernetes as legs
from ecr_refresher.job.refresh.tools import RealTools

registry = Registry("r", "r.example.com", Principal("ecr", "us-east-1"))
secret = KubernetesSecret("ecr-pull", ("r",), ("jobs",), kubeconfig="/nonexistent")
plan = Plan((registry,), kubernetes=(secret,))
tools = RealTools(plan, AwsClock(), print)
if sys.argv[1] == "with":
    with contextlib.suppress(Failed):  # there is no such kubeconfig
        tools.sink(plan.slots[0], registry).look()
print("kubernetes" in sys.modules)
"""


@pytest.mark.parametrize(("how", "loaded"), [("with", "True"), ("without", "False")])
def test_it_is_loaded_only_for_a_pull_secret(how: str, loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [loaded]
