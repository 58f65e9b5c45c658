"""A Docker engine of the tests' own: real dockerd, own socket, data, bridge and containerd namespace.

It touches neither the machine's own engine nor its firewall. Containers run unprivileged, as DockerOperator's do.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.testbed import parts
from tests.testbed.machine import Machine
from tests.testbed.processes import Process, Record, end_group, remove_tree, start_ticks, wait_until

IMAGE = "testbed/busybox:1"
APPLETS = ("sh", "true", "false", "sleep", "echo", "cat", "ls", "dd", "env")
BUILDKIT = {"DOCKER_BUILDKIT": "1"}  # what newer engines do without being told


class Engine:
    """A real dockerd. `socket` and `url` stay the same over `stop` and `start`."""

    image = IMAGE

    def __init__(self, machine: Machine, record: Record, log_file: Path, disk_mb: int | None = None) -> None:
        """`disk_mb` gives it a disk of its own for its data, of that size."""
        # A short path: names of unix sockets end at 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="ecrtb-"))
        record.directory(self.directory)
        self.socket = self.directory / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.log_file = log_file
        self._record = record
        self._bridge = machine.add_bridge()
        self._process = Process(record, "dockerd")
        (self.directory / "daemon.json").write_text("{}")
        self.data_root = self.directory / "data"
        if disk_mb is not None:
            self.data_root.mkdir()
            mount = ["mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", str(self.data_root)]
            subprocess.run(mount, check=True, capture_output=True)

    def start(self) -> None:
        """Start it; return once it answers."""
        self._process.start(
            [
                parts.DOCKERD,
                f"--host={self.url}",
                f"--data-root={self.data_root}",
                f"--exec-root={self.directory / 'exec'}",
                f"--pidfile={self.directory / 'dockerd.pid'}",
                f"--config-file={self.directory / 'daemon.json'}",  # not the machine's
                f"--bridge={self._bridge}",
                "--iptables=false",
                "--ip-masq=false",
                "--ip-forward=false",
                "--userland-proxy=false",
                # Where a containerd of the machine runs, dockerd uses it: keep our containers apart there.
                "--containerd-namespace=ecr-refresher-testbed",
                "--containerd-plugins-namespace=ecr-refresher-testbed-plugins",
                "--shutdown-timeout=2",
            ],
            log=self.log_file,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.directory), "LANG": "C.UTF-8"},
        )
        wait_until(lambda: self._answers() or not self._process.running, 30, "an answer of dockerd")
        if not self._process.running:
            raise parts.Missing(f"engine: dockerd ended by itself:\n{self._last_lines()}")

    def prepare_image(self) -> None:
        """Import the tiny image `image`: busybox and nothing else."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(parts.BUSYBOX, "bin/busybox")
            for applet in APPLETS:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        change = 'CMD ["/bin/true"]'
        done = subprocess.run(
            [*self._command(), "import", "--change", change, "-", self.image],
            input=buffer.getvalue(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def stop(self) -> None:
        """End it as its service would; its data stays for the next `start`."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL, and no engine until `start`."""
        children = self._containerd()
        self._process.kill()
        # dockerd takes a containerd that is still dying for a living one, and then waits for it in vain.
        for pid, ticks in children:
            if start_ticks(pid) == ticks:
                end_group(pid)
        for stale in (self.directory / "dockerd.pid", self.directory / "exec" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)

    def frozen(self) -> AbstractContextManager[None]:
        """SIGSTOP for the time of a `with` block: it takes connections and never answers."""
        return self._process.frozen()

    @property
    def running(self) -> bool:
        return self._process.running

    def docker(
        self,
        *words: str | Path,
        config: Path | None = None,
        stdin: str = "",
        within: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real `docker` command against it; `config` is the directory that holds config.json."""
        return subprocess.run(
            [*self._command(config), *(str(word) for word in words)],
            env={**self._environment(), **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def login(self, host: str, username: str, password: str, config: Path) -> subprocess.CompletedProcess[str]:
        """`docker login`, into the config.json of that directory."""
        words = ("login", "--username", username, "--password-stdin", host)
        return self.docker(*words, config=config, stdin=password)

    def close(self) -> None:
        """Stop it and remove all it has."""
        if self._process.running:
            containers = self.docker("ps", "--all", "--quiet").stdout.split()
            if containers:
                self.docker("rm", "--force", *containers)
        self._process.stop()
        remove_tree(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        self._record.directory_gone(self.directory)

    def _containerd(self) -> list[tuple[int, int | None]]:
        """The containerd that our dockerd has started, by id and start time."""
        try:
            pid = int((self.directory / "exec" / "containerd" / "containerd.pid").read_text())
        except (OSError, ValueError):
            return []
        return [(pid, start_ticks(pid))]

    def _answers(self) -> bool:
        return self.socket.exists() and self.docker("version", within=20).returncode == 0

    def _command(self, config: Path | None = None) -> list[str]:
        return [str(parts.DOCKER), "--config", str(config or self.directory / "no-config"), "--host", self.url]

    def _environment(self) -> Mapping[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), "LANG": "C.UTF-8"} | BUILDKIT

    def _last_lines(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
