"""Wrong settings: each error says where, what and how to fix it, all of them come at once, none shows a secret."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.wire import Load
from ecr_refresher.job import settings
from tests.unit.job.settings_reader import HOST, PARTNER, airflow, error, errors, load, plan

SECRET = "eyJhbGciOi+S3cr3t/hunter2=="
ROLE = "arn:aws:iam::210987654321:role/ecr-pull"
TWO = [HOST, PARTNER]


def registry(**keys: Any) -> dict[str, Any]:
    return {"registries": [{"host": HOST, **keys}]}


def login(**keys: Any) -> dict[str, Any]:
    return {"airflow": airflow(**{"token_file": None, **keys})}


def docker(**keys: Any) -> dict[str, Any]:
    return {"docker": keys}


def kubernetes(**keys: Any) -> dict[str, Any]:
    return {"kubernetes": keys}


def cleanup(**keys: Any) -> dict[str, Any]:
    return {"cleanup": keys}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    # keys and kinds
    ({"registrys": []}, "registrys", "is not a known key. Did you mean 'registries'?"),
    ({"colour": "red"}, "colour", "is not a known key. Write one of these: airflow, cleanup, docker,"),
    ({"registries": {"hots": HOST, "host": HOST}}, "registries.hots", "is not a known key. Did you mean 'host'?"),
    ({"registries": [HOST, [HOST]]}, "registries[1]", "is not a mapping"),
    ({"registries": [None]}, "registries[0]", "is not a mapping"),
    ({"server": "here"}, "server", "is not a mapping"),
    ({"docker": "/etc/docker"}, "docker", "is not a mapping"),
    (docker(registries={}), "docker.registries", "is not a list"),
    ({"log": {"level": ["info"]}}, "log.level", "is none of debug, info, warning, error"),
    ({"airflow": airflow(connections=[])}, "airflow.connections", "is not a mapping"),
    (
        {"airflow": airflow(connections={"a": {"creat": "no"}})},
        "airflow.connections.a.creat",
        "is not a known key. Did you mean 'create'?",
    ),
    # registries
    ({"registries": ["https://" + HOST]}, "registries[0]", "has a scheme in front"),
    ({"registries": ["docker.io"]}, "registries[0]", "'docker.io' is not a host of ECR"),
    (registry(host=f"{HOST}:443"), "registries[0].host", "has a port"),
    (registry(role_arn="ecr-pull"), "registries[0].role_arn", "is not an ARN of a role"),
    (registry(role_arn="arn:aws:iam::1:role/x"), "registries[0].role_arn", "arn:aws:iam::123456789012:role/NAME"),
    (registry(external_id="team"), "registries[0].external_id", "needs a role"),
    (registry(external_id="t", role_arn=ROLE), "registries[0].external_id", "is not an external id"),
    (registry(region="us-east-1"), "registries[0].region", "is part of the host's name already"),
    ({"registries": [{"region": "here"}]}, "registries[0].region", "is not an AWS region"),
    ({"registries": [{"role_arn": ROLE}]}, "registries[0].host", "is missing"),
    (registry(role_arn=[ROLE, "ecr-pull"]), "registries[0].role_arn[1]", "is not an ARN of a role"),
    (registry(role_arn=[ROLE] * 3, external_id=["a1", "b2"]), "registries[0].external_id", "2 external ids for 3"),
    (registry(role_session_name="data"), "registries[0].role_session_name", "needs a role"),
    (registry(role_arn=ROLE, role_session_name="a b"), "registries[0].role_session_name", "is not a session name"),
    (
        registry(profile="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "registries[0].profile",
        "looks like a key of AWS itself",
    ),
    (registry(profile="AKIAIOSFODNN7EXAMPLE"), "registries[0].profile", "looks like a key of AWS itself"),
    (registry(use_fips="perhaps"), "registries[0].use_fips", "neither true nor false"),
    (
        registry(use_fips="yes", endpoint_url="https://e"),
        "registries[0].use_fips",
        "can't be combined with endpoint_url",
    ),
    (registry(use_dualstack="yes", endpoint_url="https://e"), "registries[0].use_dualstack", "can't be combined with"),
    (registry(endpoint_url="http://10.0.0.1"), "registries[0].endpoint_url", "plain http to another host"),
    (
        {"registries": [{"host": "123456789012.dkr.ecr.cn-north-1.amazonaws.com"}]},
        "registries[0].host",
        "registries of cn-north-1 are under amazonaws.com.cn",
    ),
    (registry(name="a b"), "registries[0].name", "is not a name"),
    (registry(name=""), "registries[0].name", "is not a name"),
    (registry(probe_image=f"{HOST}/web_scraper"), "registries[0].probe_image", "has a registry in front"),
    (registry(probe_image="web@sha256:00"), "registries[0].probe_image", "is not an image"),
    (registry(probe_image="Web:latest"), "registries[0].probe_image", "repository:tag"),
    (registry(registry_url="http://10.0.0.1"), "registries[0].registry_url", "plain http to another host"),
    (registry(required="maybe"), "registries[0].required", "neither true nor false"),
    ({"registries": [HOST, HOST]}, "registries[1]", "this registry is given twice"),
    ({"registries": [HOST, {"host": PARTNER, "name": HOST}]}, "registries[1].name", "two registries have this name"),
    # airflow
    ({"airflow": airflow(url=None)}, "airflow.url", "is missing"),
    ({"airflow": airflow(url="airflow.example.com")}, "airflow.url", "is not an http or https URL"),
    ({"airflow": airflow(url="https://")}, "airflow.url", "is not an http or https URL"),
    ({"airflow": airflow(url="https://a:b")}, "airflow.url", "is not an http or https URL"),
    ({"airflow": airflow(url="https://a/?x=1")}, "airflow.url", "has a query"),
    ({"airflow": airflow(url="https://a /")}, "airflow.url", "is not an http or https URL"),
    ({"airflow": airflow(url="https://a/api/v2")}, "airflow.url", "without /api"),
    ({"airflow": airflow(url="http://airflow.internal")}, "airflow.url", "set allow_http: true"),
    ({"airflow": airflow(allow_http="perhaps")}, "airflow.allow_http", "neither true nor false"),
    (login(), "airflow", "has no login"),
    (login(username="u"), "airflow.password_file", "is missing"),
    (login(password_env="P"), "airflow.username", "is missing"),
    (login(username="u", password_env="P", token_env="T"), "airflow", "has two logins"),
    (login(username="u", token_env="T"), "airflow", "has two logins"),
    (login(token_env="T", token_file="/t"), "airflow.token_file", "is given beside token_env"),
    (login(username="u", password_file="/p", password_env="P"), "airflow.password_file", "beside password_env"),
    (login(username="u", password="x"), "airflow.password", "name that as password_file"),
    (login(token="x"), "airflow.token", "is a secret, and the settings must not hold one"),
    (login(client_id="c"), "airflow.client_secret_file", "is missing"),
    (login(client_secret_env="S"), "airflow.client_id", "is missing"),
    (login(client_id="c", client_secret_env="S", token_env="T"), "airflow", "has two logins"),
    (login(client_id="c", client_secret_env="S", username="u", password_env="P"), "airflow", "has two logins"),
    (login(client_id="c", client_secret_env="S", client_secret_file="/s"), "airflow.client_secret_file", "beside"),
    (login(client_id="c", client_secret_env="S", scope="s"), "airflow.scope", "needs token_url"),
    (login(client_id="c", client_secret_env="S", audience="a"), "airflow.audience", "needs token_url"),
    (
        login(client_id="c", client_secret_env="S", token_url="http://idp"),
        "airflow.token_url",
        "plain http to another host",
    ),
    (login(client_id="c", client_secret="x"), "airflow.client_secret", "name that as client_secret_file"),
    (login(token_env="T", token_url="https://idp"), "airflow.token_url", "needs client_id"),
    (
        login(token_env="T", client_cert="/c"),
        "airflow.client_key",
        "is missing. Set it too: client_cert alone has no effect",
    ),
    (login(token_env="a b"), "airflow.token_env", "is not a variable"),
    (login(token_file="token"), "airflow.token_file", "is not a path. Write e.g. /run/secrets/NAME: the secret belo"),
    (
        {"airflow": [airflow(), airflow(name="b", url="https://b")]},
        "airflow[0].name",
        "is missing. Give each of several Airflows a name",
    ),
    (
        {"airflow": [airflow(name="b"), airflow(name="b", url="https://b")]},
        "airflow[1].name",
        "is the name of another Airflow: 'b'",
    ),
    (
        {"airflow": airflow(connections={"a b": None})},
        "airflow.connections.a…",
        "is not a connection id that Airflow takes",
    ),
    ({"airflow": airflow(connections={"a" * 201: None})}, f"airflow.connections.{'a' * 20}…", "200 characters"),
    ({"registries": TWO, "airflow": airflow()}, "airflow.connections", f"Name one of {HOST}, {PARTNER}"),
    (
        {"registries": TWO, "airflow": airflow(connections={"a": {}})},
        "airflow.connections.a.registry",
        "is missing, and there are several registries",
    ),
    (
        {"registries": [{"host": HOST, "name": "partner"}], "airflow": [airflow(connections={"a": "partnr"})]},
        "airflow[0].connections.a",
        "no registry has the name 'partnr'. Did you mean 'partner'?",
    ),
    (
        {"airflow": airflow(connections={"a": {"registry": "b"}})},
        "airflow.connections.a.registry",
        "no registry has the name 'b'. Write one of these: default",
    ),
    (
        {
            "registries": [{"host": HOST, "name": "a"}, {"host": HOST, "name": "b"}],
            "airflow": airflow(connections={"c": HOST}),
        },
        "airflow.connections.c",
        "2 registries have this host. Give a name, one of a, b",
    ),
    (
        {"airflow": [airflow(name="a"), airflow(name="b", url="https://AIRFLOW.example.com:443/")]},
        "airflow[1].connections.docker_default",
        "airflow[0].connections.docker_default claims this connection",
    ),
    # docker
    (docker(mode="rw"), "docker.mode", "octal"),
    (docker(mode="0o1777"), "docker.mode", "octal"),
    (docker(mode="0800"), "docker.mode", "octal"),
    (docker(owner="50000:0"), "docker.owner", "is for root only, who can give files away"),
    (docker(registries=[]), "docker.registries", "is empty"),
    (docker(registries=["nobody"]), "docker.registries[0]", "no registry has the name 'nobody'"),
    (docker(config_file=""), "docker.config_file", "is not a path"),
    (
        {"registries": HOST, "docker": {"registries": [HOST, HOST]}},
        "docker.registries",
        f"would share the one entry for '{HOST}'",
    ),
    (
        {"registries": [{"host": HOST, "name": "a"}, {"host": HOST, "name": "b"}]},
        "docker.registries",
        f"'a' and 'b' would share the one entry for '{HOST}'",
    ),
    (
        {"docker": [{"config_file": "/etc/docker/"}, {"config_file": "/etc/docker/config.json"}]},
        "docker[1].config_file",
        "docker[0].config_file is this very file",
    ),
    (docker(engine_required=True), "docker.engine_required", "needs an engine whose socket can be looked for"),
    (
        docker(engine="tcp://h:1", engine_required=True),
        "docker.engine_required",
        "needs an engine whose socket can be looked for",
    ),
    (docker(engine="npipe:////./pipe/docker_engine"), "docker.engine", "is not an engine's address"),
    (docker(engine="ssh://host"), "docker.engine", "is reached by ssh, which needs a login of its own"),
    (docker(config_file="$NOT_SET/config.json"), "docker.config_file", "has $NOT_SET in it, which is not set"),
    (docker(config_file="${NOT_SET}/config.json"), "docker.config_file", "has $NOT_SET in it, which is not set"),
    (docker(config_file="~nobody-here/config.json"), "docker.config_file", "a home directory that is not known"),
    (login(token_file="$NOT_SET"), "airflow.token_file", "has $NOT_SET in it, which is not set"),
    ({"server": {"tls_cert": "/c", "tls_key": "$NOT_SET/k"}}, "server.tls_key", "has $NOT_SET in it, which is not set"),
    # kubernetes
    (
        kubernetes(namespaces=["airflow"]),
        "kubernetes.secret",
        "is missing. Give the name of the pull secret, e.g. ecr-pu",
    ),
    (
        kubernetes(secret="ecr-pull"),
        "kubernetes.namespaces",
        "is missing, and this is not a pod with a namespace of its own",
    ),
    (kubernetes(secret="ecr-pull", namespaces=[]), "kubernetes.namespaces", "is empty"),
    (kubernetes(secret="ECR", namespaces="a"), "kubernetes.secret", "is not a name that Kubernetes allows"),
    (kubernetes(secret="s", namespaces=["a.b"]), "kubernetes.namespaces[0]", "is not a namespace"),
    (
        kubernetes(secret="s", namespaces="a", namespace_selector="t=d"),
        "kubernetes.namespaces",
        "can't be combined with namespace_selector",
    ),
    (kubernetes(secret="s", namespace_selector="t=d;"), "kubernetes.namespace_selector", "is not a label selector"),
    (
        kubernetes(secret="s", namespaces="a", registries=["b"]),
        "kubernetes.registries[0]",
        "no registry has the name 'b'",
    ),
    (
        kubernetes(secret="s", namespaces="a", service_accounts=["A B"]),
        "kubernetes.service_accounts[0]",
        "is not a name that Kubernetes allows",
    ),
    (
        {"kubernetes": [{"secret": "s", "namespaces": "a, b"}, {"secret": "s", "namespaces": "b"}]},
        "kubernetes[1]",
        "kubernetes[0] is this very secret",
    ),
    # a domain of one's own
    (registry(account="123456789012"), "registries[0].account", "is part of the host's name already"),
    ({"registries": [{"account": "123456789012", "region": "us-east-1"}]}, "registries[0].host", "is missing"),
    (
        {"registries": [{"host": "d.io", "account": "123456789012"}]},
        "registries[0].region",
        "is missing, and a domain of your own does not include it",
    ),
    ({"registries": [{"host": "d.io", "account": "1", "region": "us-east-1"}]}, "registries[0].account", "12 digits"),
    (docker(engine="/var/run/docker.sock"), "docker.engine", "is not an engine's address"),
    (docker(engine="unix://var"), "docker.engine", "is not an engine's address"),
    (docker(engine="tcp://host"), "docker.engine", "is not an engine's address"),
    (docker(engine="tcp://host:x"), "docker.engine", "is not an engine's address"),
    (docker(engine="tcp://host:1/path"), "docker.engine", "is not an engine's address"),
    (docker(engine="tcp://h:1", tls_cert="/c"), "docker.tls_key", "is missing"),
    (docker(engine="unix:///s", tls_ca="/c"), "docker.tls_ca", "applies only to an engine at tcp://"),
    (docker(tls_ca="/c"), "docker.tls_ca", "applies only to an engine at tcp://"),
    # the rest
    ({"refresh": {"at_fraction": 1}}, "refresh.at_fraction", "must be below 1"),
    ({"refresh": {"at_fraction": "two thirds"}}, "refresh.at_fraction", "is not a number"),
    ({"refresh": {"at_fraction": "nan"}}, "refresh.at_fraction", "must be below 1"),
    ({"refresh": {"at_fraction": 0.95}}, "refresh.at_fraction", "at_fraction + jitter below 1"),
    ({"refresh": {"jitter": -0.1}}, "refresh.jitter", "must not be below 0"),
    ({"refresh": {"jitter": 0.4}}, "refresh.jitter", "at_fraction + jitter below 1"),
    ({"refresh": {"max_age": "0s"}}, "refresh.max_age", "from 1s to 366d"),
    ({"refresh": {"max_age": "long"}}, "refresh.max_age", "is not a duration"),
    ({"refresh": {"verify_every": "900ms"}}, "refresh.verify_every", "out of range"),
    ({"refresh": {"deadline": "4s"}}, "refresh.deadline", "from 5s to 10m"),
    ({"refresh": {"deadline": "11m"}}, "refresh.deadline", "from 5s to 10m"),
    ({"refresh": {"retry_first": 0}}, "refresh.retry_first", "from 100ms to 1h"),
    ({"refresh": {"retry_first": "10m"}}, "refresh.retry_max", "shorter than retry_first"),
    ({"refresh": {"prove": 2}}, "refresh.prove", "neither true nor false"),
    ({"cleanup": {"enabeld": True}}, "cleanup.enabeld", "is not a known key. Did you mean 'enabled'?"),
    (cleanup(every="0s"), "cleanup.every", "from 1s to 1d"),
    (cleanup(engine="docker.sock"), "cleanup.engine", "is not an engine's address"),
    (cleanup(tls_ca="/ca.pem"), "cleanup.tls_ca", "applies only to an engine at tcp://"),
    (cleanup(images=[]), "cleanup.images", "is not a mapping"),
    (
        cleanup(containers={"exited": "1h"}),
        "cleanup.containers.exited",
        "is not a known key. Did you mean 'exited_for'?",
    ),
    (cleanup(containers={"exited_for": "soon"}), "cleanup.containers.exited_for", "is not a duration"),
    (cleanup(containers={"of": "mine"}), "cleanup.containers.of", "none of registries, all"),
    (cleanup(containers={"keep_labels": ["a b"]}), "cleanup.containers.keep_labels[0]", "is not a label"),
    (cleanup(containers={"only_labels": {}}), "cleanup.containers.only_labels", "is not a list"),
    (cleanup(images={"max-size": "1GB"}), "cleanup.images.max-size", "is not a known key. Did you mean 'max_size'?"),
    (cleanup(images={"max_size": "50"}), "cleanup.images.max_size", "is not a size"),
    (
        cleanup(images={"when_disk_above": "0.8"}),
        "cleanup.images.when_disk_above",
        "is not a share between 0% and 100%",
    ),
    (cleanup(images={"when_disk_above": "100%"}), "cleanup.images.when_disk_above", "between 0% and 100%"),
    (cleanup(images={"until_below": "90%"}), "cleanup.images.until_below", "is above when_disk_above"),
    (
        cleanup(images={"until_below": "9%", "max_size": "1TB"}),
        "cleanup.images.until_below",
        "needs when_disk_above",
    ),
    (cleanup(images={"keep": ["a;b"]}), "cleanup.images.keep[0]", "is not a pattern of image names"),
    (cleanup(images={"unused_for": "-1h"}), "cleanup.images.unused_for", "is not a duration"),
    (cleanup(build_cache={"max_size": "big"}), "cleanup.build_cache.max_size", "is not a size"),
    ({"server": {"listen": "9719"}}, "server.listen", "is not an address with a port"),
    ({"server": {"listen": "host:"}}, "server.listen", "is not an address with a port"),
    ({"server": {"listen": "::1:9719"}}, "server.listen", "is not an address with a port"),
    ({"server": {"listen": "[x]:9719"}}, "server.listen", "is not an address with a port"),
    ({"server": {"listen": ":70000"}}, "server.listen", "is not an address with a port"),
    ({"server": {"tls_cert": "/c"}}, "server.tls_key", "is missing. Set it too: tls_cert alone has no effect"),
    ({"server": {"tls_key": "/k"}}, "server.tls_cert", "is missing. Set it too: tls_key alone has no effect"),
    ({"log": {"level": "loud"}}, "log.level", "none of debug, info, warning, error"),
    ({"log": {"format": "xml"}}, "log.format", "none of json, console"),
]


@pytest.mark.parametrize(("written", "path", "gist"), WRONG, ids=[f"{path}: {gist}"[:60] for _, path, gist in WRONG])
def test_an_error_says_where_and_what(written: dict[str, Any], path: str, gist: str) -> None:
    found = error(written)
    assert found.startswith(f"{path}: ")
    assert gist in found
    assert re.search(r"\. [A-Z]", found)  # the fix, as an imperative


def test_all_errors_come_at_once() -> None:
    found = errors(
        {
            "registries": ["docker.io", {"host": HOST, "naem": "x"}],
            "airflow": [airflow(name="a", url="ftp://x", connections={"c": "nobody"}), airflow(name="b", token="x")],
            "docker": {"mode": "rw", "registries": ["nobody"], "engine": "npipe://x"},
            "refresh": {"at_fraction": 2, "deadline": "1s"},
            "server": {"listen": "x", "tls_cert": "/c"},
            "log": {"level": "loud"},
            "colour": "red",
        },
        {"ECR_REFRESHER_LOG_FORMAT": "xml"},
    )
    assert {line.partition(": ")[0] for line in found} == {
        "registries[0]",
        "registries[1].naem",
        "airflow[0].url",
        "airflow[0].connections.c",
        "airflow[1].token",
        "airflow[1].connections",
        "docker.mode",
        "docker.registries[0]",
        "docker.engine",
        "refresh.at_fraction",
        "refresh.deadline",
        "server.listen",
        "server.tls_key",
        "log.level",
        "ECR_REFRESHER_LOG_FORMAT",
        "colour",
    }


def test_what_refers_to_a_faulty_registry_is_no_error_as_well() -> None:
    assert error({"registries": ["docker.io"], "airflow": airflow(connections={"c": "docker.io"})}).startswith(
        "registries[0]: "
    )
    assert error({"registries": [HOST, []], "docker": {"registries": ["x"]}}).startswith("registries[1]: ")
    assert error({"registries": [{"host": [], "name": "x"}], "docker": {"registries": ["y"]}}).startswith(
        "registries[0].host: "
    )


def test_of_a_file_that_is_all_errors_the_first_hundred_are_told() -> None:
    found = errors({f"key{number}": "" for number in range(150)})
    assert len(found) == 101
    assert found[-1] == "settings: there are 50 more errors. Fix these first"


def test_an_own_registry_needs_a_region(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError) as refused:
        settings.load(Load(), {"HOME": str(tmp_path)})
    (found,) = refused.value.errors
    assert found.startswith("registries: no AWS region is set")
    assert "Set AWS_REGION, or name the registries" in found


def test_a_region_that_is_none_is_told_by_its_source(tmp_path: Path) -> None:
    assert error({}, {"AWS_REGION": "us east"}).startswith("AWS_REGION: is not an AWS region")
    config = tmp_path / "config"
    config.write_text("[default]\nregion = N. Virginia\n")
    assert error({}, {"AWS_REGION": "", "AWS_CONFIG_FILE": str(config)}).startswith(f"{config}: is not an AWS region")


@pytest.mark.parametrize("config", ["no section", "[default]\nregion =\n", "[profile x]\nregion = eu-west-1\n", "\x00"])
def test_a_config_of_aws_without_a_region_is_none(tmp_path: Path, config: str) -> None:
    file = tmp_path / "config"
    file.write_text(config)
    assert "no AWS region is set" in error({}, {"AWS_REGION": "", "AWS_CONFIG_FILE": str(file)})


@pytest.mark.parametrize("owner", ["no-such-user-here", "0:no-such-group", "4294967295:0", "0:99999999999"])
def test_an_owner_must_be_known_to_the_system_or_a_number(owner: str) -> None:
    assert error({"docker": {"owner": owner}}, euid=0).startswith("docker.owner: ")


def test_a_user_without_a_home_must_name_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # a container's user without an entry
    assert error({}, {"HOME": ""}).startswith("docker.config_file: is missing, and this user has no home directory")


def test_the_file_of_a_user_is_not_touched(tmp_path: Path) -> None:
    """It may be anything, and is that user's: what is wrong with it is its slot's failure in the pass."""
    for number in range(3000):
        (tmp_path / f"{number}.json").symlink_to(tmp_path / f"{number + 1}.json")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    os.mkfifo(tmp_path / "3000.json")
    files = ["/proc/2/exe/config.json", str(tmp_path / "0.json"), str(tmp_path / "loop.json"), "/dev/full/config.json"]
    assert [one.config_file for one in plan({"docker": [{"config_file": file} for file in files]}).dockers] == files


# --- secrets -------------------------------------------------------------------------------------------------------
VALUES = [
    "registries[]", "registries.host", "registries.name", "registries.region", "registries.role_arn",
    "registries.external_id", "registries.probe_image", "registries.registry_url", "registries.ca_file",
    "registries.required", "registries",
    "airflow.url", "airflow.username", "airflow.password", "airflow.token", "airflow.password_file",
    "airflow.password_env", "airflow.token_file", "airflow.token_env", "airflow.ca_file", "airflow.allow_http",
    "airflow.connections", "airflow.name", "airflow", "docker.config_file", "docker.mode", "docker.owner",
    "docker.registries", "docker.engine", "docker.tls_ca", "docker.required", "docker", "refresh.at_fraction",
    "refresh.max_age", "refresh.prove", "refresh", "cleanup.enabled", "server.listen", "server.tls_cert", "log.level",
    "log.format", "secret", "airflow.secret",
]  # fmt: skip


def at(where: str, value: object) -> dict[str, Any]:
    """Settings with a value at one place."""
    section, _, key = where.partition(".")
    if section.endswith("[]"):
        return {section[:-2]: [value]}
    if not key:
        return {section: value}
    return {section: airflow(**{key: value}) if section == "airflow" else {key: value}}


def told(written: object, environ: dict[str, str] | None = None) -> str:
    """All that reading these settings says."""
    try:
        return "\n".join(load(written, environ)[1])  # type: ignore[arg-type]
    except settings.SettingsError as refused:
        return "\n".join([*refused.errors, str(refused), repr(refused)])


@pytest.mark.parametrize("where", VALUES)
@pytest.mark.parametrize(
    "value", [SECRET, [SECRET], {SECRET: SECRET}, f"https://user:{SECRET}@host", f"tcp://user:{SECRET}@host:1"]
)
def test_a_secret_in_the_wrong_place_is_never_shown(where: str, value: object) -> None:
    said = told(at(where, value))
    assert "hunter2" not in said
    assert "S3cr3t" not in said


RANDOM = "Zq7hunter2Kw9"


@pytest.mark.parametrize(
    "written",
    [
        {"airflow": airflow(token_file=None, token_env=RANDOM)},
        {"airflow": airflow(token_file=None, username="u", password_env=RANDOM)},
        {"airflow": airflow(headers={"X-A": {"env": RANDOM}})},
        {"airflow": airflow(connections={"a": RANDOM})},
        {"docker": {"registries": [RANDOM]}},
        {"registries": [{"host": HOST, "name": RANDOM}, {"host": HOST, "name": RANDOM}]},
        {RANDOM: 1},
        {"log": {RANDOM: 1}},
        {"docker": {"config_file": f"${RANDOM}/config.json"}},
        {"docker": {"config_file": f"https://user:{RANDOM}@host/config.json"}},
        {"airflow": airflow(token_file=f"https://user:{RANDOM}@host/token")},
    ],
)
def test_a_name_that_is_a_password_by_mistake_is_not_quoted(written: dict[str, Any]) -> None:
    assert "hunter2" not in told(written)


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789+/=!$%", min_size=12).map(lambda text: text + "+Zq7/="))
def test_no_secret_in_the_environment_is_ever_shown(secret: str) -> None:
    for name in ("AIRFLOW_PASSWORD", "AIRFLOW_TOKEN", "TOKEN", "AIRFLOW_PASSWORD_FILE", "REGISTRIES", "LISTEN"):
        said = told(None, {f"ECR_REFRESHER_{name}": secret, "ECR_REFRESHER_AIRFLOW_USERNAME": "u"})
        assert secret not in said


@pytest.mark.parametrize(
    "written",
    [
        "airflow:\n  password hunter2\n  url: x\n",
        'airflow: {password: "hunter2}',
        "airflow: {url: https://a, password:hunter2}",
        "password: %hunter2",
        "password: \\\n\t'hunter2'x",
        "password: &hunter2 *hunter2",
        "password: !<hunter2",
        "password: @hunter2",
        "? {hunter2: x}\n: y",
    ],
)
def test_an_error_of_yaml_does_not_quote_the_file(written: str) -> None:
    assert "hunter2" not in told(written)


@pytest.mark.parametrize("sink", ["airflow", "kubernetes", "docker"])
def test_a_sink_that_could_not_be_read_is_not_replaced_by_the_default_one(sink: str) -> None:
    twins = [{"host": HOST, "name": "a"}, {"host": HOST, "name": "b"}]  # which share an entry of the default file
    assert error({"registries": twins, sink: "/etc"}).startswith(f"{sink}: is not a mapping")
