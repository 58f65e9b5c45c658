"""The ways into Airflow in the settings: its API with headers for a proxy, MWAA, a secrets file, Secrets Manager."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ecr_refresher.core.plan import (
    Client,
    Connection,
    Header,
    Mwaa,
    ParameterStore,
    Plan,
    SecretRef,
    SecretsFile,
    SecretsManager,
)
from tests.unit.job.settings_reader import HOST, PARTNER, airflow, errors, plan, warnings

ROLE = "arn:aws:iam::210987654321:role/airflow"
MWAA = {"mwaa_environment": "prod-airflow"}
FILE = {"kind": "secrets_file", "file": "/run/airflow/connections.yaml"}
MANAGER = {"kind": "secrets_manager"}
STORE = {"kind": "parameter_store"}


def one(entry: dict[str, Any]) -> dict[str, Any]:
    return {"registries": [HOST], "airflow": entry}


def test_headers_come_from_files_and_variables_and_go_over_the_wire_as_references() -> None:
    headers = {"X-Proxy-Token": {"file": "/run/secrets/proxy"}, "Proxy-Authorization": {"env": "IAP"}}
    found = plan(one(airflow(headers=headers)), {"IAP": "the-secret"})
    assert found.airflows[0].headers == (
        Header("X-Proxy-Token", SecretRef("file", "/run/secrets/proxy")),
        Header("Proxy-Authorization", SecretRef("env", "IAP")),
    )
    assert found.airflows[0].secret_paths == {"/run/secrets/proxy", "/run/secrets/token"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found


def test_headers_may_be_the_only_login() -> None:
    found = plan(one(airflow(token_file=None, headers={"X-User": {"file": "/run/secrets/user"}})))
    assert found.airflows[0].token is None


def test_mwaa_needs_its_name_alone() -> None:
    assert plan(one(MWAA)).airflows[0].mwaa == Mwaa("prod-airflow", "us-east-1")
    found = plan(one({**MWAA, "region": "eu-west-1", "role_arn": ROLE})).airflows[0]
    assert found.mwaa == Mwaa("prod-airflow", "eu-west-1", ROLE)
    assert found.target == "mwaa:eu-west-1/prod-airflow"
    assert [connection.id for connection in found.connections] == ["docker_default"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["secrets_file", "secrets_manager", "parameter_store"])
def test_an_mwaa_beside_another_kind_is_refused(kind: str) -> None:
    found = errors(one({**MWAA, "kind": kind}))
    assert any("mwaa_environment" in error for error in found), found


def test_an_id_of_51_characters_is_the_longest_for_mwaa() -> None:
    assert plan(one({**MWAA, "connections": {"c" * 51: HOST}})).airflows[0].connections[0].id == "c" * 51
    (error,) = errors(one({**MWAA, "connections": {"c" * 52: HOST}}))
    assert error.startswith(f"airflow.connections.{'c' * 52}: is too long for the API of MWAA")
    assert "51" in error


def test_a_secrets_file() -> None:
    assert plan(one(FILE)).airflows[0].secrets_file == SecretsFile("/run/airflow/connections.yaml")
    assert plan(one({**FILE, "mode": "0640"})).airflows[0].secrets_file == SecretsFile(FILE["file"], 0o640)
    assert any("lets everybody read the login" in warning for warning in warnings(one({**FILE, "mode": "0644"})))


def test_secrets_manager() -> None:
    assert plan(one(MANAGER)).airflows[0].secrets_manager == SecretsManager("airflow/connections", "us-east-1")
    found = plan(one({**MANAGER, "prefix": "team/conns/", "region": "eu-west-1", "role_arn": ROLE})).airflows[0]
    assert found.secrets_manager == SecretsManager("team/conns", "eu-west-1", ROLE)
    assert found.target == "secretsmanager:eu-west-1/team/conns"


def test_the_parameter_store() -> None:
    found = plan(one(STORE)).airflows[0]
    assert found.parameter_store == ParameterStore("/airflow/connections", "us-east-1")
    assert found.target == "ssm:us-east-1/airflow/connections"
    assert found.parameter_store.parameter_of(Connection("a/b", HOST)) == "/airflow/connections/a/b"
    found = plan(one({**STORE, "prefix": "/team/conns/", "region": "eu-west-1", "role_arn": ROLE})).airflows[0]
    assert found.parameter_store == ParameterStore("/team/conns", "eu-west-1", ROLE)


def test_a_team_s_connection_has_a_name_of_its_own_in_a_secrets_backend() -> None:
    teams = {"a": {"registry": HOST, "team_name": "data"}}
    for kind, sep, name in (
        ({**MANAGER, "sep": "-"}, "-", "airflow/connections-data--a"),
        (STORE, "/", "/airflow/connections/data--a"),
    ):
        found = plan(one({**kind, "connections": teams})).airflows[0]
        (connection,) = found.connections
        if found.parameter_store:
            assert found.parameter_store.parameter_of(connection) == name
        else:
            assert found.secrets_manager == SecretsManager("airflow/connections", "us-east-1", None, sep)
            assert found.secrets_manager.secret_of(connection) == name
    entries = [{"name": "a", **STORE, "connections": teams}, {"name": "b", **STORE, "connections": {"a": HOST}}]
    assert len(plan({"registries": [HOST], "airflow": entries}).slots) == 2  # two parameters, not one


def test_ids_with_slashes_are_for_secrets_backends() -> None:
    for kind in (FILE, MANAGER, STORE):
        assert plan(one({**kind, "connections": {"data/a": HOST}})).airflows[0].connections[0].id == "data/a"
    (error,) = errors(one(airflow(connections={"data/a": HOST})))
    assert "is not a connection id that Airflow takes" in error


def test_a_machine_s_login() -> None:
    client = {"token_file": None, "client_id": "ecr", "client_secret_file": "/run/secrets/client"}
    found = plan(one(airflow(**client))).airflows[0]
    assert found.client == Client("ecr", SecretRef("file", "/run/secrets/client"))
    assert found.secret_paths == {"/run/secrets/client"}
    more = {"token_url": "https://idp.example.com/token", "scope": "airflow", "audience": "https://airflow"}
    found = plan(one(airflow(**{**client, "client_secret_file": None, "client_secret_env": "S"}, **more))).airflows[0]
    assert found.client == Client("ecr", SecretRef("env", "S"), *more.values())
    assert warnings(one(airflow(token_file=None, client_id="e", client_secret_env="ECR_REFRESHER_S"))) == ()


def test_a_client_certificate() -> None:
    found = plan(one(airflow(client_cert="~/cert.pem", client_key="~/key.pem"))).airflows[0]
    assert (found.client_cert, found.client_key) == ("/home/airflow/cert.pem", "/home/airflow/key.pem")


def test_slots_of_every_way_have_names_of_one_kind() -> None:
    entries = [
        {"name": "prod", **MWAA, "connections": {"a": HOST}},
        {"name": "file", **FILE, "connections": {"a": HOST}},
        {"name": "manager", **MANAGER, "connections": {"a": HOST}},
        {"name": "eu", **airflow(url="https://airflow.example.com/eu"), "connections": {"a": HOST}},
    ]
    found = plan({"registries": [HOST], "airflow": entries})
    assert [slot.sink for slot in found.slots] == [
        "airflow/prod/a",
        "airflow/file/a",
        "airflow/manager/a",
        "airflow/eu/a",
    ]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (
        airflow(headers={"X-A": "s3cret-value"}),
        "airflow.headers.X-A",
        "is a value, and the settings must not hold a secret",
    ),
    (airflow(headers={"X-A": {}}), "airflow.headers.X-A", "has no value"),
    (airflow(headers={"X-A": {"file": "/a", "env": "A"}}), "airflow.headers.X-A.file", "beside env"),
    (airflow(headers={"X-A": {"fiel": "/a"}}), "airflow.headers.X-A.fiel", "is not a known key. Did you mean 'file'?"),
    (airflow(headers={"X A": {"file": "/a"}}), "airflow.headers", "is not the name of a header"),
    (airflow(headers={"authorization": {"file": "/a"}}), "airflow.headers.authorization", "the login's header"),
    (airflow(headers={"Host": {"file": "/a"}}), "airflow.headers.Host", "set by the request itself"),
    (airflow(headers={"X-A": {"file": "/a"}, "x-a": {"file": "/b"}}), "airflow.headers.x-a", "is given twice"),
    ({**MWAA, "mwaa_environment": "1st"}, "airflow.mwaa_environment", "is not an MWAA environment"),
    ({**MWAA, "url": "https://a"}, "airflow.url", "applies to url, not to mwaa_environment"),
    ({**MWAA, "username": "u", "password_env": "P"}, "airflow.username", "applies to url"),
    (
        airflow(region="us-east-1"),
        "airflow.region",
        "applies to mwaa_environment or kind: secrets_manager or kind: parameter_store, not to url",
    ),
    (airflow(role_arn=ROLE), "airflow.role_arn", "applies to mwaa_environment"),
    (airflow(file="/x.yaml"), "airflow.file", "applies to kind: secrets_file"),
    ({**FILE, "url": "https://a"}, "airflow.url", "applies to url, not to kind: secrets_file"),
    ({"kind": "secrets_file"}, "airflow.file", "is missing. Give connections_file_path of Airflow's Local"),
    ({**FILE, "file": "/run/connections"}, "airflow.file", "has no suffix that Airflow knows"),
    ({**FILE, "mode": "rw"}, "airflow.mode", "is not a file mode"),
    ({**MANAGER, "prefix": "a b"}, "airflow.prefix", "is not a prefix"),
    ({**MANAGER, "file": "/x.json"}, "airflow.file", "applies to kind: secrets_file, not to kind: secrets_manager"),
    ({"kind": "ssm"}, "airflow.kind", "none of api, secrets_file, secrets_manager, parameter_store"),
    ({**FILE, "connections": {"a": {"team_name": "t"}}}, "airflow.connections.a.team_name", "knows no teams"),
    (
        {**STORE, "connections": {"a--b": {"team_name": "t"}}},
        "airflow.connections.a--b.team_name",
        "can't be used with an id that has '--' in it: Airflow refuses it",
    ),
    ({**STORE, "sep": "-"}, "airflow.sep", "applies to kind: secrets_manager, not to kind: parameter_store"),
    ({**MANAGER, "sep": "a"}, "airflow.sep", "is not a separator"),
    ({**MWAA, "connections": {"a b": HOST}}, "airflow.connections", "is not a connection id that Airflow takes"),
]


@pytest.mark.parametrize(("entry", "place", "words"), WRONG, ids=[f"{place}: {words}" for _, place, words in WRONG])
def test_wrong_entries_are_told_by_their_place(entry: dict[str, Any], place: str, words: str) -> None:
    found = errors(one(entry))
    assert any(error.startswith(place) and words in error for error in found), found
    assert not any("s3cret-value" in error for error in found)


@pytest.mark.parametrize("entry", [MWAA, FILE, MANAGER, airflow()], ids=["mwaa", "file", "manager", "url"])
def test_one_connection_claimed_by_two_registries(entry: dict[str, Any]) -> None:
    entries = [
        {"name": "a", **entry, "connections": {"docker_default": HOST}},
        {"name": "b", **entry, "connections": {"docker_default": PARTNER}},
    ]
    (error,) = errors({"registries": [HOST, PARTNER], "airflow": entries})
    assert error.startswith("airflow[1].connections.docker_default: airflow[0].connections.docker_default claims")


def test_two_airflows_of_one_name() -> None:
    entries = [{"name": "a", **MWAA}, {"name": "a", **MANAGER}]
    (error,) = errors({"registries": [HOST], "airflow": entries})
    assert error.startswith("airflow[1].name: is the name of another Airflow: 'a'")


def test_http_to_a_foreign_host_needs_a_word() -> None:
    (error,) = errors(one(airflow(url="http://airflow.internal", headers={"X-A": {"file": "/a"}})))
    assert "allow_http: true" in error
