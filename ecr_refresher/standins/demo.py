"""The demo: the real daemon against stand-ins of ECR, a registry and Airflow, with tokens that live a minute."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .airflow import AirflowStandIn
from .ecr import EcrStandIn
from .registry_front import RegistryFront
from .tokens import TokenBook

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
CONNECTION = "docker_default"
LIFE_S = 60.0
LIFE_MIN_S = 8.0
STOP_S = 15.0
_SHOWN = {
    "ready": "ready: every slot holds a token that is good",
    "not_ready": "NOT READY",
    "token_fetch_failed": "no token",
    "delivery_failed": "delivery failed",
}


@dataclass(slots=True)
class Scene:
    """The stand-ins and the daemon's directory; knows what each place really holds."""

    directory: Path
    book: TokenBook
    airflow: AirflowStandIn
    held: dict[str, list[str]] = field(default_factory=dict)

    @property
    def config_file(self) -> Path:
        return self.directory / "docker" / "config.json"

    def passwords(self) -> dict[str, str | None]:
        """Read what each place holds now, as their readers would."""
        connection = self.airflow.connections.get(CONNECTION)
        try:
            auth = json.loads(self.config_file.read_text())["auths"][HOST]["auth"]
            entry: str | None = base64.b64decode(auth).decode().partition(":")[2]
        except (OSError, KeyError, ValueError):
            entry = None
        return {
            f"Airflow connection {CONNECTION}": None if connection is None else connection.password,
            f"Docker {self.config_file}": entry,
        }

    def look(self) -> None:
        """Note each token that is seen somewhere for the first time."""
        for place, password in self.passwords().items():
            seen = self.held.setdefault(place, [])
            if password is not None and password not in seen:
                seen.append(password)

    def summary(self) -> tuple[bool, list[str]]:
        """Whether every place got at least one renewal and holds a good token now; with a line for each."""
        self.look()
        lines, good = [], True
        for place, password in self.passwords().items():
            verdict = "nothing" if password is None else self.book.check("AWS", password)
            renewals = max(0, len(self.held[place]) - 1)
            good = good and verdict == "ok" and renewals > 0
            lines.append(f"  {place}: {renewals} renewal(s); the registry says of its token now: {verdict}")
        return good, lines


def run(command: list[str], duration_s: float | None) -> int:
    """Run the demo until Ctrl-C or for a time; exit status 0 only if renewals were delivered everywhere.

    `command` starts ecr-refresher; `duration_s` in seconds, None for ever.
    """
    life_s = LIFE_S if duration_s is None else min(LIFE_S, max(LIFE_MIN_S, duration_s * 2 / 3))
    book = TokenBook(life_s)
    password = secrets.token_urlsafe(12)
    with (
        tempfile.TemporaryDirectory(prefix="ecr-refresher-demo-") as directory,
        EcrStandIn(book) as ecr,
        RegistryFront(book) as registry,
        AirflowStandIn("ecr-refresher", password) as airflow,
    ):
        scene = Scene(Path(directory), book, airflow)
        address = f"127.0.0.1:{_free_port()}"
        settings = _write_settings(scene, airflow.url, registry.url, password, address)
        _say(f"tokens live {life_s:.0f} s; all is in {directory}, which goes when the demo ends")
        _say(f"look at http://{address}/ (the page for people) and http://{address}/metrics")
        began = time.monotonic()
        daemon = subprocess.Popen(
            [*command, "run", "--config", str(settings), "--log-format", "json"],
            env=_environment(scene.directory, ecr.url),
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        try:
            _watch(daemon, scene, None if duration_s is None else began + duration_s)
        finally:
            _stop(daemon)
        good, lines = scene.summary()
        for line in [f"after {time.monotonic() - began:.0f} s, {len(ecr.calls)} calls to ECR:", *lines]:
            _say(line)
        _say("renewals were delivered everywhere" if good else "renewals were NOT delivered everywhere")
        return 0 if good else 1


def _watch(daemon: subprocess.Popen[bytes], scene: Scene, until: float | None) -> None:
    """Tell of the daemon's log in plain words until time is up, Ctrl-C, or the daemon ends."""
    assert daemon.stderr is not None
    os.set_blocking(daemon.stderr.fileno(), False)
    rest = b""
    try:
        while daemon.poll() is None and (until is None or time.monotonic() < until):
            scene.look()
            *lines, rest = (rest + _read(daemon.stderr)).split(b"\n")
            for line in lines:
                _tell(line)
            time.sleep(0.1)
    except KeyboardInterrupt:
        _say("")


def _read(pipe: IO[bytes]) -> bytes:
    return pipe.read() or b""


def _tell(line: bytes) -> None:
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        _say(line.decode(errors="replace"))
        return
    event = said.get("event")
    if event == "token_fetched":
        _say(f"new token from ECR, good until {said['expires_at']}")
    elif event == "delivered":
        _say(f"  delivered to {said['sink']}, good until {said['expires_at']} ({said['duration_s']:.2f} s)")
    elif event in _SHOWN:
        _say(f"{_SHOWN[event]} {said.get('sink', '')} {said.get('error', '')}".rstrip())


def _write_settings(scene: Scene, airflow_url: str, registry_url: str, password: str, address: str) -> Path:
    """Write the settings as a user would: no secret stands in them."""
    password_file = scene.directory / "airflow-password"
    with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    settings = scene.directory / "settings.yaml"
    settings.write_text(
        f"""registries:
  - host: {HOST}
    registry_url: {registry_url}
airflow:
  url: {airflow_url}
  username: ecr-refresher
  password_file: {password_file}
  connections: {{{CONNECTION}: {HOST}}}
docker:
  config_file: {scene.config_file}
server: {{listen: "{address}"}}
"""
    )
    return settings


def _environment(home: Path, ecr_url: str) -> dict[str, str]:
    """What the daemon sees: the demo's ECR and made-up keys, nothing of the user's own AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH", "TZ") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ecr_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(STOP_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
    if daemon.stderr is not None:
        daemon.stderr.close()


def _say(text: str) -> None:
    print(text, flush=True)
