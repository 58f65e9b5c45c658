"""A worker that speaks the protocol and does nothing: the supervisor's tests script it through files.

Run with the directory of the test as its only argument. It keeps each job in `jobs`, and behaves as the first line of
`behaviour` says. It imports nothing of the product: what it knows of the protocol is written here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TRICKLE = 300  # lines, one after the other


def main(directory: Path) -> None:
    job = json.loads(sys.stdin.read())
    with (directory / "jobs").open("a") as jobs:
        jobs.write(json.dumps({"environ": sorted(os.environ), **job}) + "\n")
    behaviour = (directory / "behaviour").read_text().split()
    log("worker_runs", job=job["id"], pid=os.getpid())
    match behaviour[0]:
        case "serve":
            serve(job, directory)
        case "litter":
            child = subprocess.Popen(["sleep", "600"])
            log("worker_leaves", child=child.pid)
            child.returncode = 0  # nobody's any more
            serve(job, directory)
        case "refuse":
            log("worker_refuses")
            say(job, "refused", errors=["server.listen: no such port"])
            say(job, "done")
            sys.exit(2)
        case "die":
            sys.exit(3)
        case "babble":
            os.write(1, b"Traceback (most recent call last):\n")
            time.sleep(600)
        case "garble":
            serve(job, directory, b"Segmentation fault")
            time.sleep(600)
        case "hang":
            plan(job, directory)
            hang()
        case "trickle":
            plan(job, directory)
            for _ in range(TRICKLE):
                say(job, "proved", registry="own", by="registry")
                time.sleep(0.001)
            serve(job, directory)


def serve(job: dict[str, Any], directory: Path, last: bytes = b"") -> None:
    """Report a pass that went well; with `last`, the delivery and this garbage come in one breath."""
    plan(job, directory)
    now = time.time()
    until = float(int(now) + 3600)
    say(job, "clock", offset=now - time.clock_gettime(time.CLOCK_BOOTTIME), skew=0.0)
    say(job, "fetched", principal="ecr/us-east-1", duration_s=0.1, issued_at=until - 3600, expires_at=until)
    for order in job.get("orders") or [{"sink": "airflow/default/docker_default", "registry": "own"}]:
        slot = {"sink": order["sink"], "registry": order["registry"]}
        came = {"outcome": "written", "duration_s": 0.1, "until": until, "life": 3600.0, "token": f"{job['id']}"}
        os.write(1, line_of(job, "delivered", **slot, **came) + last + b"\n" * bool(last))
    say(job, "done")


def plan(job: dict[str, Any], directory: Path) -> None:
    if "load" in job:
        say(job, "planned", plan=json.loads((directory / "plan").read_text()), own_hosts={})


def hang() -> None:
    """Stay, with a child that stays as well and holds the same pipe."""
    child = subprocess.Popen(["sleep", "600"])
    log("worker_hangs", child=child.pid)
    child.wait()


def say(job: dict[str, Any], kind: str, **fields: Any) -> None:
    os.write(1, line_of(job, kind, **fields))


def line_of(job: dict[str, Any], kind: str, **fields: Any) -> bytes:
    return json.dumps({"job": job["id"], "line": {"type": kind, **fields}}).encode() + b"\n"


def log(event: str, **fields: Any) -> None:
    os.write(2, json.dumps({"event": event, **fields}).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
