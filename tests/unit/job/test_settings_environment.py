"""Settings from the environment: they win over the file's, take the same road, and are told by their own names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.plan import Connection, DockerConfig, Engine, Plan, SecretRef, Server
from ecr_refresher.job.settings import environment
from tests.unit.job.settings_reader import HOME, HOST, PARTNER, airflow, error, errors, plan, warnings

P = "ECR_REFRESHER_"
LOGIN = {P + "AIRFLOW_URL": "https://airflow.example.com", P + "AIRFLOW_TOKEN": "tkn-hunter2"}


def test_a_sidecar_needs_only_the_environment() -> None:
    found = plan(
        None,
        {
            P + "REGISTRIES": f"{HOST}",
            P + "AIRFLOW_URL": "https://airflow.example.com/",
            P + "AIRFLOW_USERNAME": "ecr-refresher",
            P + "AIRFLOW_PASSWORD": "hunter2",
            P + "AIRFLOW_CONNECTION": "docker_ecr",
            P + "DOCKER_CONFIG": "/shared/docker/config.json",
            P + "DOCKER_ENGINE": "unix:///var/run/docker.sock",
            P + "LISTEN": ":9000",
            P + "LOG_LEVEL": "warning",
            P + "LOG_FORMAT": "console",
        },
    )
    (one,) = found.airflows
    assert [registry.host for registry in found.registries] == [HOST]
    assert (one.name, one.url, one.username) == ("default", "https://airflow.example.com", "ecr-refresher")
    assert one.password == SecretRef("env", P + "AIRFLOW_PASSWORD")
    assert one.connections == (Connection("docker_ecr", HOST),)
    assert found.dockers == (
        DockerConfig("/shared/docker/config.json", (HOST,), engine=Engine("unix:///var/run/docker.sock")),
    )
    assert found.server == Server("", 9000)
    assert (found.log.level, found.log.format) == ("warning", "console")
    assert found.settings_file is None


def test_an_engine_alone_proves_what_is_in_the_users_own_file() -> None:
    found = plan(None, {P + "DOCKER_ENGINE": "unix:///var/run/docker.sock"})
    assert found.dockers[0].config_file == f"{HOME}/.docker/config.json"


@pytest.mark.parametrize("variable", ["AIRFLOW_PASSWORD", "AIRFLOW_TOKEN"])
def test_a_secret_is_not_read_only_referred_to(variable: str) -> None:
    more = {P + "AIRFLOW_USERNAME": "u"} if variable == "AIRFLOW_PASSWORD" else {}
    found = plan(None, {P + "AIRFLOW_URL": "https://a", P + variable: "hunter2", **more})
    assert "hunter2" not in repr(found)
    assert SecretRef("env", P + variable) in (found.airflows[0].password, found.airflows[0].token)


def test_the_environment_wins_over_the_file_key_by_key() -> None:
    written = {
        "registries": [PARTNER],
        "airflow": airflow(ca_file="/ca.pem", connections={"a": PARTNER}),
        "server": {"listen": "127.0.0.1:1", "tls_cert": "/c", "tls_key": "/k"},
        "log": {"level": "error", "format": "console"},
    }
    found = plan(written, {P + "REGISTRIES": PARTNER, P + "AIRFLOW_URL": "https://b", P + "LISTEN": "[::]:2"})
    assert (found.airflows[0].url, found.airflows[0].ca_file) == ("https://b", "/ca.pem")
    assert found.airflows[0].connections == (Connection("a", PARTNER),)
    assert found.server == Server("::", 2, "/c", "/k")
    assert (found.log.level, found.log.format) == ("error", "console")


@pytest.mark.parametrize(
    ("written", "environ"),
    [
        ({"token_file": "/t"}, {"AIRFLOW_USERNAME": "v", "AIRFLOW_PASSWORD": "x"}),
        ({"username": "u", "password_env": "P"}, {"AIRFLOW_USERNAME": "v", "AIRFLOW_PASSWORD_FILE": "/p"}),
        ({"username": "u", "password_file": "/p"}, {"AIRFLOW_TOKEN": "x"}),
        ({"token_env": "T"}, {"AIRFLOW_TOKEN_FILE": "/t"}),
        ({"username": "u", "password_file": "/p"}, {"AIRFLOW_USERNAME": "v"}),
    ],
)
@pytest.mark.parametrize("as_list", [True, False])
def test_a_login_of_the_environment_replaces_the_files(
    written: dict[str, str], environ: dict[str, str], as_list: bool
) -> None:
    entry = {"url": "https://a", **written}
    found = plan({"airflow": [entry] if as_list else entry}, {P + name: value for name, value in environ.items()})
    (one,) = found.airflows
    if "AIRFLOW_USERNAME" in environ:
        assert (one.username, one.token) == ("v", None)
    else:
        assert (one.username, one.password) == (None, None)


@pytest.mark.parametrize(
    ("section", "entries", "variable"),
    [
        ("airflow", [airflow(name="a"), airflow(name="b", url="https://b")], "AIRFLOW_URL"),
        ("docker", [{"config_file": "/a"}, {"config_file": "/b"}], "DOCKER_ENGINE"),
    ],
)
def test_with_several_entries_in_the_file_the_environment_is_meant_for_none(
    section: str, entries: list[Any], variable: str
) -> None:
    found = error({section: entries}, {P + variable: "https://a"})
    assert found.startswith(f"{P}{variable}: the file has 2 '{section}' entries")


@pytest.mark.parametrize(
    ("environ", "source", "gist"),
    [
        ({"REGISTRIES": f"{HOST},docker.io"}, "REGISTRIES", "'docker.io' is not a host of ECR"),
        ({"REGISTRIES": f"{HOST},{HOST}"}, "REGISTRIES", "is given twice"),
        ({**LOGIN, "AIRFLOW_URL": "airflow"}, "AIRFLOW_URL", "is not an http or https URL"),
        ({**LOGIN, "AIRFLOW_URL": "http://airflow"}, "AIRFLOW_URL", "allow_http: true in the settings file"),
        ({"AIRFLOW_TOKEN": "x"}, "AIRFLOW_URL", "is missing"),
        ({"AIRFLOW_URL": "https://a"}, "AIRFLOW_URL", "has no login"),
        ({"AIRFLOW_URL": "https://a", "AIRFLOW_USERNAME": "u"}, "AIRFLOW_PASSWORD_FILE", "is missing"),
        ({"AIRFLOW_URL": "https://a", "AIRFLOW_PASSWORD": "x"}, "AIRFLOW_USERNAME", "is missing"),
        ({**LOGIN, "AIRFLOW_TOKEN_FILE": "/t"}, "AIRFLOW_TOKEN_FILE", "beside token_env"),
        ({**LOGIN, "AIRFLOW_USERNAME": "u"}, "AIRFLOW_URL", "has two logins"),
        ({**LOGIN, "AIRFLOW_CONNECTION": "a b"}, "AIRFLOW_CONNECTION", "is not a connection id"),
        ({**LOGIN, "REGISTRIES": f"{HOST},{PARTNER}"}, "AIRFLOW_CONNECTION", "there are several registries"),
        ({"DOCKER_ENGINE": "npipe://x"}, "DOCKER_ENGINE", "is not an engine's address"),
        ({"LISTEN": "9719"}, "LISTEN", "is not an address with a port"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL", "none of debug"),
    ],
)
def test_an_error_names_the_variable(environ: dict[str, str], source: str, gist: str) -> None:
    found = error(None, {P + name.removeprefix(P): value for name, value in environ.items()})
    assert found.startswith(f"{P}{source}: ")
    assert gist in found
    assert "hunter2" not in found


NOT_UTF8 = os.fsdecode(b"/hunter2/\xff")


@pytest.mark.parametrize("variable", [*environment.KEYS, "CONFIG"])
def test_bytes_that_are_not_utf_8_are_an_error_that_names_the_variable(variable: str) -> None:
    found = error(None, {P + variable: NOT_UTF8})
    assert found.startswith(f"{P}{variable}: is not UTF-8 text. Write it in UTF-8")
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "variable",
    [
        "HOME",
        "DOCKER_CONFIG",
        "DOCKER_HOST",
        "REGISTRY_AUTH_FILE",
        "KUBECONFIG",
        "STATE_DIRECTORY",
        "XDG_STATE_HOME",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "HTTPS_PROXY",
        "no_proxy",
    ],
)
def test_the_same_goes_for_the_variables_of_other_tools(variable: str) -> None:
    assert error({}, {variable: NOT_UTF8}).startswith(f"{variable}: is not UTF-8 text. ")


def test_all_of_them_are_named_at_once_and_those_of_others_may_be_as_they_like() -> None:
    environ = {P + "AIRFLOW_TOKEN": NOT_UTF8, "HOME": NOT_UTF8}
    assert [one.partition(":")[0] for one in errors(None, environ)] == [P + "AIRFLOW_TOKEN", "HOME"]
    assert plan(None, {"LS_COLORS": NOT_UTF8}) == plan(None)


def test_a_variable_in_a_path_must_be_utf_8_too() -> None:
    found = error({"docker": {"config_file": "$DIR/config.json"}}, {"DIR": NOT_UTF8})
    assert found == "docker.config_file: has $DIR in it, which is not UTF-8 text. Write that in UTF-8"


def test_a_working_directory_that_is_not_utf_8_is_an_error_where_a_path_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / os.fsdecode(b"\xff")
    there.mkdir()
    monkeypatch.chdir(there)
    assert "the working directory" in error({"docker": {"config_file": "config.json"}})
    assert plan({"docker": {"config_file": "/config.json"}})


def test_an_error_of_a_command_line_option_names_the_option() -> None:
    assert error({}, log_level="loud").startswith("--log-level: ")


def test_the_command_lines_log_wins_over_all() -> None:
    written = {"log": {"level": "error", "format": "json"}}
    found = plan(written, {P + "LOG_LEVEL": "debug"}, log_level="warning", log_format="console")
    assert (found.log.level, found.log.format) == ("warning", "console")


def test_a_section_that_is_no_mapping_stays_an_error_under_the_environment() -> None:
    found = errors(
        {"server": "here", "airflow": ["x"], "docker": "y"}, {**LOGIN, P + "LISTEN": ":1", P + "DOCKER_CONFIG": "/c"}
    )
    assert [line.partition(":")[0] for line in found] == ["airflow[0]", "docker", "server"]


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_not_set(value: str) -> None:
    environ = {P + name: value for name in ("REGISTRIES", "AIRFLOW_URL", "AIRFLOW_TOKEN", "DOCKER_CONFIG", "LISTEN")}
    assert plan(None, environ) == plan(None)


# --- variables that are none of ours
def test_an_unknown_variable_is_a_warning_with_the_one_that_was_meant() -> None:
    assert warnings({}, {P + "AIRFLOW_PASWORD": "hunter2", P + "XYZZY": "1", "OTHER": "1"}) == (
        f"{P}AIRFLOW_PASWORD: unknown variable, ignored. Did you mean '{P}AIRFLOW_PASSWORD'?",
        f"{P}XYZZY: unknown variable, ignored. See docs/settings.md for the known ones",
    )


def test_the_service_links_of_kubernetes_are_one_warning() -> None:
    names = [
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_METRICS", "PORT", "PORT_9719_TCP", "PORT_9719_TCP_PROTO",
        "PORT_9719_TCP_PORT", "PORT_9719_TCP_ADDR", "METRICS_SERVICE_HOST", "METRICS_PORT",
    ]  # fmt: skip
    (warning,) = warnings({}, {P + name: "tcp://10.0.0.1:9719" for name in names})
    assert "and 9 more: ignored, because Kubernetes sets such variables" in warning
    assert "enableServiceLinks: false" in warning


def test_a_variable_that_the_file_names_is_known() -> None:
    written = {"airflow": airflow(token_file=None, token_env=P + "PROD_TOKEN")}
    assert warnings(written, {P + "PROD_TOKEN": "hunter2"}) == ()


# --- one road
HOSTS = st.lists(
    st.tuples(st.from_regex(r"\A[0-9]{12}\Z"), st.sampled_from(["us-east-1", "eu-west-1"])).map(
        lambda parts: f"{parts[0]}.dkr.ecr.{parts[1]}.amazonaws.com"
    ),
    min_size=1,
    max_size=1,
)
LEVELS = st.sampled_from(["debug", "info", "Warning", "ERROR"])
LISTEN = st.sampled_from(["127.0.0.1:9719", ":80", "[::1]:1", "0.0.0.0:9719", "host-1.local:65535"])
IDS = st.from_regex(r"\A[a-z_.-]{1,20}\Z")


@given(HOSTS, st.sampled_from(["https://a.example", "https://a/b/", "http://127.0.0.1:8080"]), IDS, LISTEN, LEVELS)
def test_yaml_and_environment_give_equal_plans(
    hosts: list[str], url: str, connection: str, listen: str, level: str
) -> None:
    by_file: Plan = plan(
        {
            "registries": hosts,
            "airflow": {"url": url, "token_file": "/run/token", "connections": {connection: hosts[0]}},
            "docker": {"config_file": "~/x/", "engine": "unix:///run/docker.sock"},
            "server": {"listen": listen},
            "log": {"level": level},
        }
    )
    by_environment = plan(
        {},
        {
            P + "REGISTRIES": ",".join(hosts),
            P + "AIRFLOW_URL": url,
            P + "AIRFLOW_TOKEN_FILE": "/run/token",
            P + "AIRFLOW_CONNECTION": connection,
            P + "DOCKER_CONFIG": "~/x/",
            P + "DOCKER_ENGINE": "unix:///run/docker.sock",
            P + "LISTEN": listen,
            P + "LOG_LEVEL": level,
        },
    )
    assert (by_file.registries, by_file.airflows, by_file.dockers, by_file.server, by_file.log) == (
        by_environment.registries, by_environment.airflows, by_environment.dockers, by_environment.server,
        by_environment.log,
    )  # fmt: skip
