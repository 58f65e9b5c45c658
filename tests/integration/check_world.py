"""One set of real servers, and settings that `check` finds nothing wrong with; each fault spoils one thing of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.settings import CONNECTION
from tests.testbed.airflow import Airflow, StoredConnection
from tests.testbed.daemon import Finished, Product
from tests.testbed.engine import Engine
from tests.testbed.registry import HOST, Registry
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

BASE_KEY = "AKIAIOSFODNN7EXAMPLE"
TRUST = Path("/etc/docker/certs.d", HOST, "ca.crt")  # where the engine finds the registry's CA
# Root who must keep to permissions, as any other user.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--groups=0")


@dataclasses.dataclass(frozen=True)
class Found:
    """One finding of `check`, with the leg that it belongs to."""

    leg: str
    verdict: str
    text: str
    fix: str


@dataclasses.dataclass
class World:
    """What a fault may spoil. `settings`, `env` and `prefix` are how the product is run next."""

    directory: Path
    product: Product
    airflow: Airflow
    engine: Engine
    registry: Registry
    ecr: EcrStandIn
    book: TokenBook
    good: Path  # the files as a delivery left them
    connection: StoredConnection  # the same of Airflow
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    reader: bool = False

    @property
    def config_file(self) -> Path:
        return self.directory / "docker" / "config.json"

    @property
    def shadow(self) -> Path:
        """A secrets backend's file."""
        return self.directory / "secrets.json"

    @property
    def content(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.config_file.read_text())
        return parsed

    def rewrite(self, **keys: Any) -> None:
        """Change keys of the config.json; None removes one."""
        changed = {key: value for key, value in {**self.content, **keys}.items() if value is not None}
        self.config_file.write_text(json.dumps(changed))

    def auth(self) -> dict[str, str]:
        entry: dict[str, str] = self.content["auths"][HOST]
        return entry

    def restore(self) -> None:
        """Make all as the delivery left it."""
        shutil.rmtree(self.config_file.parent, ignore_errors=True)
        shutil.copytree(self.good, self.config_file.parent)
        if self.airflow.db_connection(CONNECTION) != self.connection:
            self.airflow.delete_connection(CONNECTION)
            wanted = dataclasses.asdict(self.connection)
            self.airflow.create_connection(wanted.pop("conn_id"), **wanted)
        if not TRUST.exists():
            shutil.copyfile(self.registry.ca_file, TRUST)
        self.ecr.heal()
        self.ecr.date_offset_s = 0.0
        self.registry.front.heal()

    def use_docker(self, engine: bool = False) -> None:
        """Settings for one registry and one file."""
        self.settings = {"registries": [{"host": HOST}], "docker": {"config_file": str(self.config_file)}}
        if engine:
            self.settings["docker"]["engine"] = self.engine.url

    def use_airflow(self) -> None:
        """Settings for one registry and one Airflow."""
        self.settings = {"registries": [{"host": HOST}], "airflow": self.to_airflow("oper")}

    def read(self) -> None:
        """Settings and surroundings of a machine with Airflow, as `check --reader` wants them; no AWS."""
        self.use_airflow()
        self.reader = True
        self.env = {**self.airflow.env, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

    def to_airflow(self, user: str) -> dict[str, Any]:
        password = self.directory / f"password-of-{user}"
        password.write_text(self.airflow.passwords[user])
        password.chmod(0o600)
        return {"url": self.airflow.url, "username": user, "password_file": str(password)}

    def patch(self, **fields: Any) -> None:
        """Edit the connection, as somebody would in Airflow."""
        body = {"connection_id": CONNECTION, "conn_type": "docker", **fields}
        status, _ = self.airflow.admin("PATCH", f"/connections/{CONNECTION}", body)
        assert status == 200

    def run(self, *words: str) -> Finished:
        return self.product.run_cli(
            *words, settings=self.settings, ecr_url=self.ecr.url, env=self.env, prefix=self.prefix, measured=False
        )

    def once(self) -> None:
        done = self.run("once", "--strict")
        assert done.exit_code == 0, done.stderr

    def check(self) -> tuple[int, list[Found]]:
        """The exit status, and all findings but those that are ok; a failed leg's dependants are left out."""
        done = self.run("check", "--json", *(["--reader"] if self.reader else []))
        found = [
            Found(leg["leg"], finding["verdict"], finding["text"], finding["fix"] or "")
            for leg in done.json()["legs"]
            for finding in leg["findings"]
            if finding["verdict"] not in ("ok", "not_tried")
        ]
        return done.exit_code, found


def environment(registry: Registry, ecr: EcrStandIn, config_file: Path) -> dict[str, str]:
    return {
        **registry.environment(),
        "AWS_ENDPOINT_URL_STS": ecr.url,
        "DOCKER_CONFIG": str(config_file.parent),
    }


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def unmount(target: Path) -> None:
    subprocess.run(["umount", "-l", str(target)], check=True)


def keys(mapping: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in mapping.items() if name not in names}
