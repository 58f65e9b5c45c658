"""What the tests of `config.json` share: credentials, sinks, refusals searched for secrets, processes beside ours."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecr_refresher.core.model import Credential, Failed, Failure, Secret
from ecr_refresher.core.plan import DockerConfig
from ecr_refresher.job.sinks.docker.sink import DockerConfigSink

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OTHER_HOST = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
NOW = 1_800_000_000.0
LIFE_S = 43_200.0
BOB = 12_345  # nobody on any machine

_count = iter(range(10**9))


def credential(token: str | None = None, issued_at: float = NOW) -> Credential:
    """A login as ECR gives it, each with a token of its own."""
    text = token or f"tok{next(_count):06d}{os.urandom(600).hex()}"
    return Credential("AWS", Secret(text), issued_at, issued_at + LIFE_S)


def auth_of(held: Credential) -> str:
    return base64.b64encode(f"{held.username}:{held.secret.reveal()}".encode()).decode()


def sink(path: Path | str, *, environ: Mapping[str, str] | None = None, **settings: Any) -> DockerConfigSink:
    environ = os.environ if environ is None else environ
    return DockerConfigSink(DockerConfig(str(path), **{"registries": (), "mode": None, **settings}), environ=environ)


def content(path: Path) -> Any:
    return json.loads(path.read_bytes())


def names_in(directory: Path) -> set[str]:
    """What lies there, our lock and record apart."""
    return {
        path.name for path in directory.iterdir() if not re.fullmatch(r"\..+\.ecr-refresher\.(lock|json)", path.name)
    }


def refusal(call: Callable[[], object], *secrets: Credential) -> Failure:
    """The failure of a call that must fail, after a look for secrets in all that its traceback can show."""
    try:
        call()
    except Failed as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
        chain: BaseException | None = error
        while chain is not None:
            shown += repr(chain) + repr(getattr(chain, "doc", "")) + repr(getattr(chain, "output", ""))
            chain = chain.__cause__ or chain.__context__
        for secret in secrets:
            assert secret.secret.reveal() not in shown
            assert auth_of(secret) not in shown
        return error.failure
    raise AssertionError("nothing was refused")


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another Python process; it has printed its first line when this begins, and is gone when this ends."""
    running = subprocess.Popen(
        [sys.executable, "-u", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        yield running
    finally:
        running.kill()
        running.communicate()
