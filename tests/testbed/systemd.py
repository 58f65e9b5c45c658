"""A real systemd 252 as process 1 of a container, with the product installed by the steps of docs/systemd.md."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.testbed import parts
from tests.testbed.container import Container
from tests.testbed.engine import Engine
from tests.testbed.images import import_base, package_index
from tests.testbed.machine import BRIDGE_NETWORK
from tests.testbed.prepare_images import SYSTEMD
from tests.testbed.processes import NotInTime, wait_until
from tests.testbed.secret_hunt import Outputs

IMAGE = "testbed/systemd:252"
UNIT = "ecr-refresher.service"
HOST_ADDRESS = BRIDGE_NETWORK.partition("/")[0]  # where the container sees the host
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "ecr_refresher", "deploy")
STEPS = re.findall(
    r"^```sh\n(.*?)^```", (parts.REPOSITORY / "docs" / "systemd.md").read_text(), re.DOTALL | re.MULTILINE
)
# Shared mounts are what LoadCredential needs. This machine's own root lacks SYS_RESOURCE.
OPTIONS = ("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--cgroupns=private",
           "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp")  # fmt: skip
START = "mount --make-rshared / && exec /sbin/init"


class Systemd(Container):
    """The container, and what an administrator does in it."""

    def __init__(self, engine: Engine, outputs: Outputs) -> None:
        super().__init__(engine, "systemd", outputs)
        self._outputs = outputs

    def boot(self, *options: str) -> None:
        import_base(self.engine, SYSTEMD, IMAGE)
        self.run(IMAGE, "/bin/sh", "-c", START, options=(*OPTIONS, *options))
        wait_until(self._is_up, 60, "systemd's own start")

    def install(self) -> None:
        """Follow the documentation's first steps, in a checkout."""
        for name in SOURCES:
            self.copy(str(parts.REPOSITORY / name), f"/src/{name}")
        with package_index(HOST_ADDRESS) as url:
            pip = f"export PIP_INDEX_URL={url} PIP_TRUSTED_HOST={HOST_ADDRESS} PIP_DISABLE_PIP_VERSION_CHECK=1"
            self.shell(f"cd /src\n{pip}\n{STEPS[0]}", within=200)

    def shell(self, script: str, within: float = 60) -> str:
        return self.execute("/bin/sh", "-ec", script, within=within)

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        self.execute("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)

    def has(self, path: str) -> bool:
        """Whether there is a file with something in it."""
        return self.engine.docker("exec", self.name, "test", "-s", path).returncode == 0

    def copy(self, source: str, target: str) -> None:
        self.execute("mkdir", "-p", "/src")
        done = self.engine.docker("cp", source, f"{self.name}:{target}")
        assert done.returncode == 0, done.stderr

    def properties(self) -> dict[str, str]:
        """What systemd knows of our unit."""
        return dict(line.split("=", 1) for line in self.execute("systemctl", "show", UNIT).splitlines())

    def journal(self) -> list[dict[str, Any]]:
        """What the service itself has said since its last start; a line that is no JSON object fails."""
        start = f"_SYSTEMD_INVOCATION_ID={self.properties()['InvocationID']}"
        # By the name of who speaks: systemd itself has words on the unit's behalf too.
        text = self.execute("journalctl", start, "--identifier=ecr-refresher", "--output=cat", "--no-pager", "--quiet")
        self._outputs.keep("systemd.journal", text)
        parsed = [json.loads(line) for line in text.splitlines()]
        assert all(isinstance(line, dict) for line in parsed)
        return parsed

    def wait_for_property(self, within: float, **wanted: str) -> None:
        """Wait until systemd says so of our unit."""
        try:
            wait_until(lambda: wanted.items() <= self.properties().items(), within, f"{wanted}", every=0.3)
        except NotInTime as late:
            found = {name: self.properties().get(name) for name in wanted}
            raise NotInTime(f"{late}; it is {found}\n{self.shell('journalctl --no-pager | tail -n 40')}") from None

    def _is_up(self) -> bool:
        done = self.engine.docker("exec", self.name, "systemctl", "is-system-running")
        return done.stdout.strip() in ("running", "degraded")
