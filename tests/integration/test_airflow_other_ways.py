"""The other ways into Airflow, each to its end: MWAA before a real server, and Airflow's own secrets backends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Airflows
from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import AIRFLOW_2, SIMPLE, Flavour, on
from tests.testbed.aws_services import MwaaStandIn, SecretsManagerStandIn
from tests.testbed.daemon import Finished, Product
from tests.testbed.moto import Moto
from tests.testbed.processes import Record
from tests.testbed.registry import HOST
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = pytest.mark.real("airflow")
SINK = "airflow/default/docker_default"


def once(product: Product, ecr: EcrStandIn, entry: dict[str, Any], *args: str, **env: str) -> Finished:
    settings = {"registries": [HOST], "airflow": entry, "refresh": {"prove": False}}
    ecr.book.life_s = 3600
    return product.run_cli("once", "--json", *args, settings=settings, ecr_url=ecr.url, env=env)


def outcome(done: Finished) -> tuple[str, str | None]:
    (slot,) = done.json()["slots"]
    error = slot["error"]
    return slot["outcome"], error and f"{error['message']}. {error.get('fix')}"


# --- MWAA --------------------------------------------------------------------------------------------------------
@pytest.fixture
def mwaa(airflow: Airflow) -> Iterator[MwaaStandIn]:
    with MwaaStandIn(airflow) as mwaa:
        yield mwaa
    assert mwaa.crashes == []


def to(mwaa: MwaaStandIn) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_MWAA": mwaa.url, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}


@on(SIMPLE, AIRFLOW_2)
def test_mwaa_gets_its_connection_and_keeps_the_users_own_fields(
    airflow: Airflow, mwaa: MwaaStandIn, ecr: EcrStandIn, product: Product
) -> None:
    name = "c" * 51
    airflow.create_connection(name, description="ask Ada", port=5000, extra='{"reauth": false}')
    entry = {"mwaa_environment": "prod-airflow", "connections": {"docker_default": HOST, name: HOST}}
    done = once(product, ecr, entry, **to(mwaa))
    assert done.exit_code == 0, done.stderr
    for connection in ("docker_default", name):
        stored = airflow.db_connection(connection)
        assert stored is not None
        assert (stored.conn_type, stored.host, stored.login) == ("docker", HOST, "AWS")
        assert ecr.book.check("AWS", stored.password or "") == "ok"
    assert stored is not None
    assert stored.port == 5000
    assert stored.extra == '{"reauth": false}'
    assert (stored.description or "").startswith("ask Ada [ecr-refresher: ")
    assert {call["Method"] for _, call in mwaa.calls} == {"GET", "POST", "PATCH"}

    calls = len(mwaa.calls)
    again = once(product, ecr, entry, **to(mwaa))
    assert {slot["outcome"] for slot in again.json()["slots"]} == {"skipped"}
    assert {call["Method"] for _, call in mwaa.calls[calls:]} == {"GET"}


@on(SIMPLE)
def test_what_mwaa_refuses_is_told_with_the_fix(
    airflow: Airflow, mwaa: MwaaStandIn, ecr: EcrStandIn, product: Product
) -> None:
    def told(environment: str = "prod-airflow") -> str:
        done = once(product, ecr, {"mwaa_environment": environment}, **to(mwaa))
        assert done.exit_code == 1
        assert ecr.calls == [], "no token is fetched where none can be delivered"
        return str(outcome(done)[1])

    mwaa.user = "viewer"
    assert "Allow airflow:InvokeRestApi on role/prod-airflow/ROLE" in told()
    assert "can_read, can_create and can_edit on Connections" in told()
    mwaa.refuses = "AccessDeniedException"
    assert "AWS answered AccessDeniedException to GET /version" in told()
    mwaa.refuses = "ThrottlingException"
    assert "ThrottlingException to GET /version" in told()
    mwaa.refuses = "InternalServerException"
    assert "AWS answered InternalServerException" in told()
    mwaa.refuses = None
    for mwaa.answers in (401, 403):
        said = told()
        assert f"answered {mwaa.answers} to GET /version. Allow airflow:InvokeRestApi" in said
        assert "token_file" not in said
    mwaa.answers = None
    assert "Correct mwaa_environment" in told("other")
    airflow.stop()
    mwaa.stop()
    assert "no connection to 127.0.0.1" in told()


@on(SIMPLE)
@pytest.mark.parametrize("count", [12, 40])
def test_mwaa_that_allows_ten_calls_a_second_gets_all_its_connections(
    airflow: Airflow, mwaa: MwaaStandIn, ecr: EcrStandIn, product: Product, count: int
) -> None:
    mwaa.per_second = 10.0
    entry = {"mwaa_environment": "prod-airflow", "connections": {f"docker_{each}": HOST for each in range(count)}}
    outcomes: list[str] = []
    for _ in range(2):  # passes
        done = once(product, ecr, entry, **to(mwaa))
        outcomes = [slot["outcome"] for slot in done.json()["slots"]]
        reasons = {slot["error"]["reason"] for slot in done.json()["slots"] if slot["error"]}
        assert reasons <= {"throttled"}
        if "failed" not in outcomes:
            break
    print(f"{count} connections: {len(mwaa.calls)} calls, {mwaa.throttled} of them throttled")
    assert "failed" not in outcomes, done.stderr
    assert all(airflow.db_connection(f"docker_{each}") is not None for each in range(count))


# --- Airflow's own secrets backends ------------------------------------------------------------------------------
@pytest.fixture(params=[SIMPLE, AIRFLOW_2], ids=lambda flavour: flavour.name)
def reader(request: pytest.FixtureRequest, airflows: Airflows) -> Iterator[Airflow]:
    """An Airflow whose command reads connections; no server of it runs."""
    flavour: Flavour = request.param
    if reason := flavour.missing():
        parts.give_up(reason)
    with closing(airflows.new(flavour)) as airflow:
        yield airflow


def read_by(airflow: Airflow, backend: str, kwargs: dict[str, Any], **env: str) -> dict[str, Any]:
    """What `airflow connections get` finds through a backend, in a database without connections."""
    env |= {"AIRFLOW__SECRETS__BACKEND": backend, "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(kwargs)}
    words = ("connections", "get", "docker_default", "--output", "json")
    done = airflow.cli(*words, within=120, **env)
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = json.loads(done.stdout[done.stdout.index("[{") :])
    return dict(found)


ASK = """
import importlib, json, sys
module, name, kwargs, asked = json.loads(sys.argv[1])
backend = getattr(importlib.import_module(module), name)(**kwargs)
found = [backend.get_connection(*each) for each in asked]
fields = ("conn_type", "host", "login", "password", "port", "schema", "extra", "description")
print("FOUND " + json.dumps([one and {name: getattr(one, name) for name in fields} for one in found]))
"""


def asked_of(
    airflow: Airflow, backend: str, kwargs: dict[str, Any], *asked: tuple[str, ...], **env: str
) -> list[dict[str, Any] | None]:
    """What the backend itself gives for a connection id, or for an id and a team."""
    module, _, name = backend.rpartition(".")
    done = subprocess.run(
        [airflow.flavour.venv / "bin" / "python", "-c", ASK, json.dumps([module, name, kwargs, asked])],
        env=airflow.env | env,
        cwd=airflow.home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found: list[dict[str, Any] | None] = json.loads(line.removeprefix("FOUND "))
    return found


FILES = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-key-of-the-reader"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.env", "# mine\ndocker_default=docker://old:old@elsewhere:5000/s?reauth=false\nother=http://x/?a=b\n"),
        (
            "c.yaml",
            "docker_default: {host: elsewhere, port: 5000, schema: s}\nother: [http://x]\nthird: {uri: http://y}",
        ),
        ("c.json", '{"docker_default": {"port": 5000, "schema": "s", "extra": {"a": 1}}, "other": "http://x"}'),
    ],
)
def test_after_each_write_the_file_is_one_that_airflows_own_parser_reads(
    reader: Airflow, ecr: EcrStandIn, product: Product, tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o640)
    entry = {"kind": "secrets_file", "file": str(path), "connections": {"docker_default": HOST, "data/docker": HOST}}
    for _ in range(2):
        done = once(product, ecr, entry, "--force")
        assert done.exit_code == 0, done.stderr
        kwargs = {"connections_file_path": str(path)}
        ours, nested, other = asked_of(reader, FILES, kwargs, ("docker_default",), ("data/docker",), ("other",))
        assert ours is not None
        assert nested is not None
        assert other is not None
        for found in (ours, nested):
            assert (found["conn_type"], found["host"], found["login"]) == ("docker", HOST, "AWS")
            assert ecr.book.check("AWS", found["password"]) == "ok"
        assert (ours["port"], ours["schema"]) == (5000, "s")
        assert path.stat().st_mode & 0o777 == 0o640
    if ours is not None and name == "c.env":
        assert json.loads(ours["extra"]) in ({"reauth": False}, {"reauth": "false"})  # Airflow 3, and 2


def test_a_uri_beside_other_fields_which_spoils_the_whole_file_is_never_written(
    reader: Airflow, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    path = tmp_path / "c.json"
    text = json.dumps({"docker_default": {"uri": f"docker://AWS:old@{HOST}"}, "other": {"conn_type": "http"}})
    path.write_text(text)
    done = once(product, ecr, {"kind": "secrets_file", "file": str(path)})
    assert done.exit_code == 1
    assert "as a URI or list" in str(outcome(done)[1])
    assert path.read_text() == text
    ours, other = asked_of(reader, FILES, {"connections_file_path": str(path)}, ("docker_default",), ("other",))
    assert ours is not None
    assert other is not None


@pytest.fixture
def moto(record: Record, logs: Path) -> Iterator[Moto]:
    moto = Moto(record, logs / "moto.log")
    with closing(moto):
        yield moto


@pytest.mark.parametrize(
    ("kind", "settings", "backend", "kwargs"),
    [
        (
            "secrets_manager",
            {"prefix": "team-a/connections", "sep": "-"},
            "secrets_manager.SecretsManagerBackend",
            {"connections_prefix": "team-a/connections", "sep": "-"},
        ),
        ("secrets_manager", {}, "secrets_manager.SecretsManagerBackend", {}),
        ("parameter_store", {}, "systems_manager.SystemsManagerParameterStoreBackend", {}),
        (
            "parameter_store",
            {"prefix": "prod/connections/"},
            "systems_manager.SystemsManagerParameterStoreBackend",
            {"connections_prefix": "prod/connections/"},
        ),
    ],
    ids=["secrets-sep", "secrets", "parameters", "parameters-prefix"],
)
def test_the_amazon_providers_backends_read_what_we_write_teams_and_slashes_too(
    airflows: Airflows,
    ecr: EcrStandIn,
    product: Product,
    moto: Moto,
    kind: str,
    settings: dict[str, str],
    backend: str,
    kwargs: dict[str, str],
) -> None:
    if reason := SIMPLE.missing():
        parts.give_up(reason)
    connections = {
        "docker_default": HOST,
        "data/docker.default": HOST,
        "of_a_team": {"registry": HOST, "team_name": "data"},
    }
    aws = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": moto.url, "AWS_ENDPOINT_URL_SSM": moto.url}
    entry = {"kind": kind, **settings, "connections": connections}
    with closing(airflows.new(SIMPLE, AIRFLOW__CORE__MULTI_TEAM="True")) as reader:
        for outcomes, args in (("written", ()), ("skipped", ()), ("written", ("--force",))):
            done = once(product, ecr, entry, *args, **aws)
            assert done.exit_code == 0, done.stderr
            assert {slot["outcome"] for slot in done.json()["slots"]} == {outcomes}
        asked = (("docker_default",), ("data/docker.default",), ("of_a_team", "data"), ("of_a_team",))
        kwargs = {"region_name": "us-east-1", **kwargs}
        *ours, without_team = asked_of(
            reader, f"airflow.providers.amazon.aws.secrets.{backend}", kwargs, *asked, **aws, **KEYS
        )
        for found in ours:
            assert found is not None
            assert (found["conn_type"], found["host"], found["login"]) == ("docker", HOST, "AWS")
            assert ecr.book.check("AWS", found["password"]) == "ok"
        assert without_team is None


@pytest.mark.parametrize("name", ["connections.json", "connections.yaml"])
def test_the_local_filesystem_backend_reads_what_we_write(
    reader: Airflow, ecr: EcrStandIn, product: Product, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "secrets" / name
    path.parent.mkdir()
    own = {"docker_default": {"port": 5000, "extra": {"reauth": False}, "description": "ask Ada"}, "b": "http://b"}
    path.write_text(json.dumps(own))  # JSON is YAML, too
    entry = {"kind": "secrets_file", "file": str(path)}
    done = once(product, ecr, entry)
    assert done.exit_code == 0, done.stderr
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    found = read_by(reader, backend, {"connections_file_path": str(path)})
    assert (found["conn_type"], found["host"], found["login"]) == ("docker", HOST, "AWS")
    assert ecr.book.check("AWS", found["password"]) == "ok"
    assert int(found["port"]) == 5000
    assert "reauth" in str(found["extra_dejson"])
    assert "[ecr-refresher: " in found["description"]
    assert outcome(once(product, ecr, entry))[0] == "skipped"
    assert outcome(once(product, ecr, entry, "--force"))[0] == "written"
    assert read_by(reader, backend, {"connections_file_path": str(path)})["password"] != found["password"]


def test_the_amazon_providers_backend_reads_what_we_write(
    airflows: Airflows, ecr: EcrStandIn, product: Product
) -> None:
    if reason := SIMPLE.missing():
        parts.give_up(reason)
    entry = {"kind": "secrets_manager"}
    with SecretsManagerStandIn() as manager, closing(airflows.new(SIMPLE)) as reader:
        # Other names for our fields, as the backend takes them: ours must win.
        own = {"pass": "old-password", "user": "old", "port": 5000, "extra": {"reauth": False}, "description": "ask"}
        manager.secrets["airflow/connections/docker_default"] = json.dumps(own)
        aws = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url}
        done = once(product, ecr, entry, **aws)
        assert done.exit_code == 0, done.stderr
        keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-key-of-the-reader"}
        backend = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
        found = read_by(reader, backend, {"region_name": "us-east-1"}, **aws, **keys)
        assert (found["conn_type"], found["host"], found["login"]) == ("docker", HOST, "AWS")
        assert ecr.book.check("AWS", found["password"]) == "ok"
        assert int(found["port"]) == 5000
        assert "reauth" in str(found["extra_dejson"])
        assert outcome(once(product, ecr, entry, **aws))[0] == "skipped"

        del manager.secrets["airflow/connections/docker_default"]
        assert outcome(once(product, ecr, entry, **aws))[0] == "written"
        assert [operation for operation, _ in manager.calls if operation != "GetSecretValue"] == [
            "PutSecretValue",
            "CreateSecret",
        ]
        manager.refuses = "AccessDeniedException"
        refused = once(product, ecr, entry, **aws)
        assert refused.exit_code == 1
        assert "GetSecretValue, PutSecretValue and CreateSecret" in str(outcome(refused)[1])
        assert manager.crashes == []
