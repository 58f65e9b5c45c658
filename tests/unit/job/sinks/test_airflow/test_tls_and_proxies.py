"""Certificates, and the proxies that the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher.core.model import Holding, Outcome, Reason
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.serving import Reply

from .conftest import DOCKER_DEFAULT, HOST, PASSWORD, USER, Scripted, World, credential, wanted

Start = Callable[..., Scripted]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "ca")


@pytest.fixture
def tls(authority: CertificateAuthority) -> Iterator[World]:
    """An Airflow behind TLS, with a certificate of an authority that nobody knows."""
    with AirflowStandIn(USER, PASSWORD, tls=authority.issue("127.0.0.1")) as stand_in:
        yield World(stand_in.url)


# --- TLS ---------------------------------------------------------------------------------------------------------
def test_a_private_authority_is_trusted_by_ca_file(tls: World, authority: CertificateAuthority) -> None:
    sink = tls.sink(ca_file=str(authority.ca_file))
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN


def test_an_unknown_authority(tls: World) -> None:
    tls.failure(lambda: tls.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "certificate", "ca_file")


def test_a_certificate_for_another_name(tls: World, authority: CertificateAuthority) -> None:
    sink = tls.sink(url=tls.airflow.url.replace("127.0.0.1", "localhost"), ca_file=str(authority.ca_file))
    tls.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.INVALID, "certificate", "localhost")


def test_a_ca_file_that_is_not_there(tls: World, tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere.pem")
    tls.failure(lambda: tls.sink(ca_file=path).look(DOCKER_DEFAULT, HOST), Reason.MISSING, path)


def test_a_ca_file_without_a_certificate(tls: World, tmp_path: Path) -> None:
    path = tmp_path / "empty.pem"
    path.write_text("nothing\n")
    tls.failure(lambda: tls.sink(ca_file=str(path)).look(DOCKER_DEFAULT, HOST), Reason.INVALID, "TLS with", "ca_file")


def test_https_to_a_server_of_plain_http(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink(url=airflow.url.replace("http:", "https:"))
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.INVALID, "TLS with")


# --- proxies -----------------------------------------------------------------------------------------------------
def test_the_environments_proxy_is_used(scripted: Start, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = scripted(lambda method, path: Reply.json(503, {}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    sink = world.sink(url="http://airflow.invalid:8080/deployment")
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "503")
    assert [path for _, path, _ in proxy.asked] == ["http://airflow.invalid:8080/deployment/api/v2/version"]


def test_no_proxy_is_respected(airflow: AirflowStandIn, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert world.sink().look(DOCKER_DEFAULT, HOST) == Holding()


def test_a_proxy_that_is_not_there_is_named_without_its_login(
    world: World, monkeypatch: pytest.MonkeyPatch, secrets_seen: object
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://ann:her-proxy-word@127.0.0.1:9")
    sink = world.sink(url="http://airflow.invalid")
    failure = world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "http://127.0.0.1:9", "NO_PROXY")
    assert "her-proxy-word" not in failure.message


def test_a_login_in_the_url_is_not_shown(airflow: AirflowStandIn, world: World) -> None:
    airflow.stop()
    sink = world.sink(url=airflow.url.replace("//", "//ann:her-word@"))
    assert "her-word" not in world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT).message
