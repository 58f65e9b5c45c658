"""The demo: the real daemon against stand-ins for ECR, a registry and Airflow, with tokens that live a minute."""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .services import Services

Say = Callable[[str], None]
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
CONNECTION = "docker_default"
LIFE_S = 60.0
PASSED_ON = ("PATH", "LANG", "PYTHONPATH", "TZ", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
SHOWN = {
    "ready": "ready: every slot holds a valid token",
    "not_ready": "NOT READY",
    "token_fetch_failed": "no token",
    "delivery_failed": "delivery failed",
}


class Slots:
    """What the Airflow connection and the `config.json` really hold, and which tokens they held so far."""

    def __init__(self, config_file: Path, services: Services) -> None:
        self._config_file, self._services = config_file, services
        self._seen: dict[str, set[str | None]] = {}

    def look(self) -> dict[str, str | None]:
        """Read what each slot holds now, as its readers do, and note it."""
        try:
            auth = json.loads(self._config_file.read_text())["auths"][HOST]["auth"]
            entry: str | None = base64.b64decode(auth).decode().partition(":")[2]
        except (OSError, KeyError, ValueError):
            entry = None
        password = self._services.connections.get(CONNECTION, {}).get("password")
        held = {f"Airflow connection {CONNECTION}": password, f"Docker {self._config_file}": entry}
        for name, token in held.items():
            self._seen.setdefault(name, {None}).add(token)
        return held

    def state(self) -> str:
        """How many slots hold a valid token, in a few words."""
        valid = [self._services.verdict(token) == "ok" for token in self.look().values()]
        return f"{sum(valid)} of {len(valid)} slots hold a valid token"

    def summary(self) -> tuple[bool, list[str]]:
        """Say whether every slot was renewed and holds a valid token now, with a line for each slot."""
        lines, good = [], True
        for name, token in self.look().items():
            verdict = "nothing" if token is None else self._services.verdict(token)
            renewals = max(0, len(self._seen[name]) - 2)  # None and the first token are none
            good = good and verdict == "ok" and renewals > 0
            lines.append(f"  {name}: {renewals} renewal(s); the registry's verdict on its token: {verdict}")
        return good, lines


def run(command: list[str], duration_s: float | None, say: Say, show: Say) -> int:
    """Run the demo until Ctrl-C, SIGTERM or for a time. Return 0 only if renewals were delivered everywhere.

    `command` starts ecr-refresher; `duration_s` is in seconds, None for ever. `say` prints text that stays; `show` says
    below it what is going on now.
    """
    life_s = LIFE_S if duration_s is None else min(LIFE_S, max(8.0, duration_s * 2 / 3))
    password = secrets.token_urlsafe(12)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="ecr-refresher-demo-") as directory, Services(life_s, password) as services:
        threading.Thread(target=services.serve_forever, daemon=True).start()
        home = Path(directory)
        slots = Slots(home / "docker" / "config.json", services)
        with socket.create_server(("127.0.0.1", 0)) as listener:  # finds a free port
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        settings = _write_settings(home, services.url, password, address)
        say(f"tokens live {life_s:.0f} s; every file is in {directory}, which the demo removes at its end")
        say(f"look at http://{address}/ (the page for people) and http://{address}/metrics")
        began = time.monotonic()
        argv = [*command, "run", "--config", str(settings), "--log-format", "json"]
        with open(home / "daemon.log", "wb") as written, open(home / "daemon.log", "rb") as log:
            daemon = subprocess.Popen(
                argv, env=_environment(home, services.url), stderr=written, stdin=subprocess.DEVNULL
            )
            try:
                while daemon.poll() is None and (duration_s is None or time.monotonic() < began + duration_s):
                    _tell(log, say)
                    show(f"after {time.monotonic() - began:.0f} s, {slots.state()}; Ctrl-C ends the demo")
                    time.sleep(0.1)
            except KeyboardInterrupt:
                say("")
            finally:
                ended_alone = daemon.poll()
                show("the daemon is stopping")
                _stop(daemon)
                services.shutdown()
                _tell(log, say)
        good, lines = slots.summary()
        title = f"after {time.monotonic() - began:.0f} s, {len(services.tokens)} calls to ECR:"
        say("\n".join([title, *lines]))
        if ended_alone is not None:
            say(f"the daemon ended by itself, with exit code {ended_alone}")
        say("renewals were delivered everywhere" if good else "renewals were NOT delivered everywhere")
        return 0 if good else 1


def _tell(log: BinaryIO, say: Say) -> None:
    """Say in plain words what the daemon has logged since the last time."""
    for line in log:
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            say(line.decode(errors="replace").rstrip())
            continue
        event = said.get("event")
        if event == "token_fetched":
            say(f"new token from ECR, valid until {said['expires_at']}")
        elif event == "delivered":
            say(f"  delivered to {said['sink']}, valid until {said['expires_at']} ({said['duration_s']:.2f} s)")
        elif event in SHOWN:
            say(f"{SHOWN[event]} {said.get('sink', '')} {said.get('error', '')}".rstrip())


def _write_settings(home: Path, services_url: str, password: str, address: str) -> Path:
    """Write the settings as a user does, with the password in a file of its own."""
    password_file = home / "airflow-password"
    with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    settings = home / "settings.yaml"
    settings.write_text(
        f"""registries:
  - host: {HOST}
    registry_url: {services_url}
airflow:
  url: {services_url}
  username: ecr-refresher
  password_file: {password_file}
  connections: {{{CONNECTION}: {HOST}}}
docker:
  config_file: {home / "docker" / "config.json"}
server: {{listen: "{address}"}}
"""
    )
    return settings


def _environment(home: Path, ecr_url: str) -> dict[str, str]:
    """Return the daemon's environment: the demo's ECR and made-up keys, nothing of the user's own AWS."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {
        "HOME": str(home),
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "demo"),
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": ecr_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(15.0)  # it takes 10 s at most
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
