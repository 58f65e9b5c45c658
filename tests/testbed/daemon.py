"""The real product, started as its users start it, in a clean environment; all that it says is kept for the hunt."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.testbed.processes import NotInTime, Record, free_port
from tests.testbed.sabotage import passed_on
from tests.testbed.secret_hunt import Outputs, Secrets

# -P: the working directory is no place to import from.
PRODUCT = (sys.executable, "-P", "-m", "ecr_refresher")
AWS_SECRET_KEY = secrets.token_urlsafe(30)
Settings = Mapping[str, Any] | str
# What coverage.py needs to measure a process that the tests start (`patch = subprocess`).
MEASURING = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


def clean_environment(
    home: Path,
    *,
    ecr_url: str = "http://127.0.0.1:9",
    region: str = "us-east-1",
    measured: bool = True,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """An environment with nothing of the caller's: no proxy, profile or CA; fake AWS keys; ECR at `ecr_url`.

    `measured=False` keeps coverage out, for tests of memory and time. `env` wins over all.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL_ECR": ecr_url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "*",
        **({name: os.environ[name] for name in MEASURING if name in os.environ} if measured else {}),
        **passed_on(os.environ),
        **(env or {}),
    }


def write_settings(settings: Settings, path: Path) -> Path:
    """Write settings as YAML; a mapping as JSON, which is YAML too and keeps every type."""
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings, indent=1))
    return path


@dataclasses.dataclass(frozen=True)
class Finished:
    """A command of the product that has ended."""

    args: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Standard output, as JSON."""
        return json.loads(self.stdout)

    def logs(self) -> list[dict[str, Any]]:
        return log_lines(self.stderr)


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer of the daemon's server; no status is an exception."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def log_lines(text: str) -> list[dict[str, Any]]:
    """Log lines as mappings. A line that is no JSON object breaks the contract, and the test."""
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        assert isinstance(parsed, dict), f"standard error holds a line that is no JSON object: {line[:300]!r}"
        lines.append(parsed)
    return lines


class Product:
    """Starts the product for one test; ends with the test whatever the test left running."""

    def __init__(self, directory: Path, name: str, outputs: Outputs, secrets_seen: Secrets, record: Record) -> None:
        self.directory = directory
        self.name = name
        self.outputs = outputs
        self.secrets_seen = secrets_seen
        self.record = record
        self._daemons: list[Daemon] = []
        self._count = 0
        secrets_seen.add(AWS_SECRET_KEY)

    def run_cli(
        self,
        *args: str,
        settings: Settings | None = None,
        ecr_url: str = "http://127.0.0.1:9",
        env: Mapping[str, str] | None = None,
        measured: bool = True,
        within: float = 60,
        stdin: str = "",
        prefix: Sequence[str] = (),
    ) -> Finished:
        """Run one command to its end. With `settings`, they are written and named by ECR_REFRESHER_CONFIG.

        `prefix` is a command that runs it: `setpriv …`, say.
        """
        home = self._home()
        more = dict(env or {})
        if settings is not None:
            more = {"ECR_REFRESHER_CONFIG": str(write_settings(settings, home / "settings.yaml")), **more}
        done = subprocess.run(
            [*prefix, *PRODUCT, *args],
            env=clean_environment(home, ecr_url=ecr_url, measured=measured, env=more),
            cwd=home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        label = f"{self.name}.{args[0] if args else 'bare'}"
        self.outputs.keep(f"{label}.stdout", done.stdout)
        self.outputs.keep(f"{label}.stderr", done.stderr)
        return Finished(tuple(args), done.returncode, done.stdout, done.stderr)

    def start_daemon(
        self,
        settings: Settings | None = None,
        *,
        ecr_url: str = "http://127.0.0.1:9",
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        port: int | None = None,
        measured: bool = True,
        answering: bool = True,
    ) -> Daemon:
        """Start `ecr-refresher run`. Unless `answering=False`, return once its server answers."""
        home = self._home()
        daemon = Daemon(home, f"{self.name}.run", self.outputs, self.record, port or free_port())
        self._daemons.append(daemon)
        daemon.start(settings, ecr_url=ecr_url, env=env, args=args, measured=measured)
        if answering:
            daemon.wait_until_answering()
        return daemon

    def _home(self) -> Path:
        self._count += 1
        home = self.directory / f"product-{self._count}"
        home.mkdir(parents=True)
        return home

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.kill()


class Daemon:
    """A running `ecr-refresher run`."""

    def __init__(self, home: Path, name: str, outputs: Outputs, record: Record, port: int) -> None:
        self.home = home
        self.port = port
        self.settings_file = home / "settings.yaml"
        self.stdout_file = outputs.path(f"{name}.stdout")
        self.stderr_file = outputs.path(f"{name}.stderr")
        self._name = name
        self._outputs = outputs
        self._record = record
        self._child: subprocess.Popen[bytes] | None = None
        self._again: dict[str, Any] = {}

    # --- life

    def start(
        self,
        settings: Settings | None = None,
        *,
        ecr_url: str = "http://127.0.0.1:9",
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        measured: bool = True,
    ) -> None:
        assert not self.running, "the daemon runs already"
        self._again = {"settings": settings, "ecr_url": ecr_url, "env": env, "args": args, "measured": measured}
        more = {"ECR_REFRESHER_LISTEN": f"127.0.0.1:{self.port}", **(env or {})}
        if settings is not None:
            write_settings(settings, self.settings_file)
            more.setdefault("ECR_REFRESHER_CONFIG", str(self.settings_file))
        with self.stdout_file.open("ab") as stdout, self.stderr_file.open("ab") as stderr:
            self._child = subprocess.Popen(
                [*PRODUCT, "run", *args],
                env=clean_environment(self.home, ecr_url=ecr_url, measured=measured, env=more),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._record.process(self._child.pid)

    def restart(self, **changes: Any) -> None:
        """Stop, then start with the same settings, save for `changes`; return once it answers."""
        self.stop()
        self.start(**(self._again | changes))
        self.wait_until_answering()

    @property
    def pid(self) -> int:
        assert self._child is not None, "the daemon was not started"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def signal(self, number: Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, number: Signals = SIGTERM, within: float = 10) -> int:
        """End it by a signal; it must be gone within 10 s (the contract). Returns the exit code."""
        assert self._child is not None, "the daemon was not started"
        if self.running:
            self.signal(number)
        return self.wait(within)

    def wait(self, within: float) -> int:
        """Wait for its end; returns the exit code."""
        assert self._child is not None, "the daemon was not started"
        try:
            code = self._child.wait(within)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"the daemon did not end within {within:g} s\n{self._tail()}") from None
        self._record.gone(self._child.pid)
        return code

    def kill(self) -> None:
        """End it at once and reap it, with what it left in its process group; harmless when it has ended."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, SIGKILL)
        self._child.wait(10)
        self._record.gone(self._child.pid)

    # --- what it says

    def get(self, path: str, headers: Mapping[str, str] | None = None, timeout: float = 10) -> Answer:
        """GET a path of its server. Connection errors are raised."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        self._outputs.keep(f"{self._name}.http", body)
        return Answer(response.status, dict(response.headers.items()), body.decode())

    def status(self) -> dict[str, Any]:
        """The parsed body of /status."""
        parsed = self.get("/status").json()
        assert isinstance(parsed, dict)
        return parsed

    def slot(self, sink: str) -> dict[str, Any]:
        """The entry of /status for one sink, e.g. `airflow/default/docker_default`, or the only one that begins so."""
        slots = [slot for slot in self.status()["slots"] if slot["sink"].startswith(sink)]
        assert len(slots) == 1, f"{len(slots)} slots begin with {sink}"
        return dict(slots[0])

    def metrics(self) -> Metrics:
        """The parsed body of /metrics."""
        return Metrics(self.get("/metrics").text)

    def logs(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log lines so far, of one event or all. The last, half-written one is left out."""
        whole, _, _ = self.stderr_file.read_text().rpartition("\n")
        return [line for line in log_lines(whole) if event is None or line.get("event") == event]

    def wait_until_answering(self, within: float = 15) -> None:
        deadline = time.monotonic() + within
        while True:
            try:
                self.get("/livez", timeout=2)
            except (OSError, http.client.HTTPException):
                if not self.running:
                    raise AssertionError(f"the daemon ended by itself\n{self._tail()}") from None
                if time.monotonic() > deadline:
                    raise NotInTime(f"no server within {within:g} s\n{self._tail()}") from None
                time.sleep(0.05)
            else:
                return

    def wait_for(
        self, condition: Callable[[dict[str, Any]], object], within: float = 30, every: float = 0.2
    ) -> dict[str, Any]:
        """Poll /status until `condition(status)` is true; returns that status."""
        deadline = time.monotonic() + within
        status: dict[str, Any] | None = None
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status = self.status()
                if condition(status):
                    return status
            if not self.running:
                raise AssertionError(f"the daemon ended by itself\n{self._tail()}")
            if time.monotonic() > deadline:
                shown = json.dumps(status, indent=1) if status else "no answer"
                raise NotInTime(f"not within {within:g} s; last /status: {shown}\n{self._tail()}")
            time.sleep(every)

    def _tail(self) -> str:
        lines = self.stderr_file.read_text(errors="replace").splitlines()[-20:]
        return "last lines of its log:\n" + "\n".join(line[:500] for line in lines)


class Metrics:
    """Samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The one sample of that name whose labels include the given ones."""
        matching = self.matching(name, **labels)
        assert len(matching) == 1, f"{len(matching)} samples of {name} with {labels}"
        return next(iter(matching.values()))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of that name whose labels include the given ones."""
        return sum(self.matching(name, **labels).values())

    def matching(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }
