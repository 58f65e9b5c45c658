"""A real Airflow: its API server on a random port, its own home and database, real `airflow dags test` runs."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.testbed.airflow_flavours import LEAST_RIGHTS, SIMPLE, Flavour, password_hash
from tests.testbed.airflow_settings import USERS, airflow_environment
from tests.testbed.processes import Process, Record, free_port, remove_tree, wait_until
from tests.testbed.secret_hunt import Secrets

DAGS = Path(__file__).parent / "dags"


@dataclasses.dataclass(frozen=True)
class DagRun:
    """How a run of `airflow dags test` went."""

    exit_code: int
    output: str

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


@dataclasses.dataclass(frozen=True)
class StoredConnection:
    """A connection as the database holds it, decrypted."""

    conn_id: str
    conn_type: str
    description: str | None
    host: str | None
    login: str | None
    password: str | None = dataclasses.field(repr=False)
    schema: str | None
    port: int | None
    extra: str | None


class Airflow:
    """One Airflow. `url`, users, passwords and data stay the same over `stop` and `start`.

    Its users are `admin`, `oper` (with the least rights that our documentation asks for) and `viewer`. Behind FAB the
    latter two are made through Airflow's own API at the first start.
    """

    def __init__(
        self, record: Record, secrets_seen: Secrets, log_file: Path, flavour: Flavour = SIMPLE, **settings: str
    ) -> None:
        """`settings` are further AIRFLOW__… variables of its environment."""
        self.flavour = flavour
        self.home = Path(tempfile.mkdtemp(prefix="ecrtb-"))
        record.directory(self.home)
        self._record = record
        self._secrets = secrets_seen
        self.log_file = log_file
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.passwords = {user: secrets.token_urlsafe(18) for user in USERS}
        secrets_seen.add(*self.passwords.values())
        shutil.copytree(DAGS, self.home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(flavour.database, self.home / "airflow.db")
        self._users_wanted = flavour.auth != "simple"
        if self._users_wanted:
            self._set_admins_password()
        else:
            self.write_passwords()
        self._fernet_key = secrets_seen.add(base64.urlsafe_b64encode(os.urandom(32)).decode())
        self.env = airflow_environment(
            self.home,
            flavour,
            AIRFLOW__CORE__FERNET_KEY=self._fernet_key,
            AIRFLOW__API_AUTH__JWT_SECRET=secrets_seen.add(secrets.token_urlsafe(32)),
            AIRFLOW__API__SECRET_KEY=secrets_seen.add(secrets.token_urlsafe(32)),
            AIRFLOW__WEBSERVER__SECRET_KEY=secrets_seen.add(secrets.token_urlsafe(32)),
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{self.url}/execution/",
            **settings,
        )
        self._process = Process(record, f"airflow {flavour.name}")
        self._admin_login: str | None = None

    # --- life

    def start(self) -> None:
        """Start the API server; return once it answers."""
        server = "api-server" if self.flavour.major >= 3 else "webserver"
        host = "--host" if self.flavour.major >= 3 else "--hostname"
        self._process.start(
            [self._airflow, server, host, "127.0.0.1", "--port", str(self.port), "--workers", "1"],
            log=self.log_file,
            env=self.env,
            cwd=self.home,
        )
        wait_until(lambda: self._answers() or not self._process.running, 120, "an answer of Airflow's API server", 0.2)
        assert self._process.running, f"airflow {server} ended by itself; see {self.log_file}"
        if self._users_wanted:
            self._make_users()
            self._users_wanted = False

    def stop(self) -> None:
        """End the API server: connections to it are refused."""
        self._process.stop()

    def frozen(self) -> AbstractContextManager[None]:
        """SIGSTOP for the time of a `with` block: connections are taken, and nothing is answered."""
        return self._process.frozen()

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        self._process.stop()
        remove_tree(self.home)
        self._record.directory_gone(self.home)

    # --- its REST API

    def request(
        self, method: str, path: str, body: object = None, authorization: str | None = None, timeout: float = 30
    ) -> tuple[int, Any]:
        """One call: the status and the parsed body. No status is an exception."""
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if authorization is not None:
            request.add_header("Authorization", authorization)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as response:
                status, raw = response.status, response.read()
        except urllib.error.HTTPError as refused:
            with refused:
                status, raw = refused.code, refused.read()
        try:
            return status, json.loads(raw) if raw else None
        except ValueError:
            return status, raw.decode(errors="replace")

    def token(self, user: str = "admin") -> str:
        """A fresh JWT of that user (Airflow 3)."""
        status, body = self.request("POST", "/auth/token", {"username": user, "password": self.passwords[user]})
        assert status == 201, f"login of {user}: {status}"
        return self._secrets.add(str(body["access_token"]))

    def login(self, user: str = "admin") -> str:
        """What that user sends as Authorization."""
        if self.flavour.auth == "basic":
            pair = f"{user}:{self.passwords[user]}".encode()
            return f"Basic {self._secrets.add(base64.b64encode(pair).decode())}"
        return f"Bearer {self.token(user)}"

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One call to the API as the admin, e.g. `admin("GET", "/connections")`."""
        return self._as_admin(method, self.flavour.api + path, body)

    def _as_admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        if self._admin_login is None:
            self._admin_login = self.login("admin")
        status, answer = self.request(method, path, body, self._admin_login)
        if status == 401:  # spent
            self._admin_login = self.login("admin")
            status, answer = self.request(method, path, body, self._admin_login)
        return status, answer

    def create_connection(self, conn_id: str, **fields: Any) -> dict[str, Any]:
        """Make a connection of conn_type docker, unless `fields` say otherwise; its password counts as secret."""
        if fields.get("password"):
            self._secrets.add(fields["password"])
        status, body = self.admin("POST", "/connections", {"connection_id": conn_id, "conn_type": "docker", **fields})
        assert status in (200, 201), f"POST of {conn_id}: {status}"
        assert isinstance(body, dict)
        return body

    def get_connection(self, conn_id: str) -> dict[str, Any] | None:
        """The connection as the API shows it (password masked), or None."""
        status, body = self.admin("GET", f"/connections/{urllib.parse.quote(conn_id)}")
        if status == 404:
            return None
        assert status == 200, f"GET of {conn_id}: {status}"
        assert isinstance(body, dict)
        return body

    def delete_connection(self, conn_id: str) -> bool:
        """Delete a connection; False if there was none."""
        status, _ = self.admin("DELETE", f"/connections/{urllib.parse.quote(conn_id)}")
        assert status in (204, 404), f"DELETE of {conn_id}: {status}"
        return status == 204

    def delete_all_connections(self) -> None:
        _, listed = self.admin("GET", "/connections?limit=100")
        for connection in listed["connections"]:
            self.delete_connection(connection["connection_id"])

    # --- its users

    def write_passwords(self) -> None:
        """Hand `passwords` to the SimpleAuthManager, which reads them afresh at each login."""
        (self.home / "passwords.json").write_text(json.dumps(self.passwords))

    def set_password(self, user: str) -> str:
        """Give a user of FAB a new password, as an admin would."""
        self.passwords[user] = self._secrets.add(secrets.token_urlsafe(18))
        path = f"{self.flavour.roles_path}/users/{user}?update_mask=password"
        status, _ = self._as_admin("PATCH", path, {"password": self.passwords[user], **self._named(user)})
        assert status == 200, f"a new password of {user}: {status}"
        return self.passwords[user]

    def _make_users(self) -> None:
        """The role of the documentation, made through the API, and a user with it; another with the role Viewer."""
        rights = [{"action": {"name": right}, "resource": {"name": "Connections"}} for right in LEAST_RIGHTS]
        status, said = self._as_admin("POST", f"{self.flavour.roles_path}/roles", {"name": "ecr", "actions": rights})
        assert status == 200, f"POST of a role: {status} {said}"
        for user, role in (("oper", "ecr"), ("viewer", "Viewer")):
            body = {"password": self.passwords[user], "roles": [{"name": role}], **self._named(user)}
            status, said = self._as_admin("POST", f"{self.flavour.roles_path}/users", body)
            assert status == 200, f"POST of {user}: {status} {said}"

    def _named(self, user: str) -> dict[str, str]:
        return {"username": user, "email": f"{user}@example.com", "first_name": user, "last_name": user}

    def _set_admins_password(self) -> None:
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            hashed = password_hash(self.passwords["admin"])
            database.execute("UPDATE ab_user SET password = ? WHERE username = 'admin'", (hashed,))
            database.commit()

    # --- behind its API

    def db_connection(self, conn_id: str) -> StoredConnection | None:
        """The connection as it is stored, decrypted with Airflow's own key: what a task would get."""
        query = (
            "SELECT conn_id, conn_type, description, host, login, password, schema, port, extra,"
            " is_encrypted, is_extra_encrypted FROM connection WHERE conn_id = ?"
        )
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30)) as database:
            row = database.execute(query, (conn_id,)).fetchone()
        if row is None:
            return None
        *fields, password_encrypted, extra_encrypted = row
        stored = StoredConnection(*fields)
        return dataclasses.replace(
            stored,
            password=self._decrypted(stored.password) if password_encrypted else stored.password,
            extra=self._decrypted(stored.extra) if extra_encrypted else stored.extra,
        )

    def cli(self, *words: str, within: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the `airflow` command (several seconds of CPU)."""
        return subprocess.run(
            [self._airflow, *words],
            env=self.env | env,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def dags_test(self, dag_id: str = "web_scraper", *, docker_url: str, within: float = 180) -> DagRun:
        """Run a DAG for real, operators and all, in a process of its own; its engine is `docker_url`."""
        done = self.cli("dags", "test", dag_id, within=within, TESTBED_DOCKER_URL=docker_url)
        return DagRun(done.returncode, done.stdout + done.stderr)

    @property
    def _airflow(self) -> str:
        return str(self.flavour.venv / "bin" / "airflow")

    def _decrypted(self, value: str | None) -> str | None:
        return None if value is None else Fernet(self._fernet_key).decrypt(value.encode()).decode()

    def _answers(self) -> bool:
        try:
            return self.request("GET", self.flavour.api + "/version", timeout=5)[0] == 200
        except OSError:
            return False
