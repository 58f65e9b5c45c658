"""Whom TLS trusts: one order for every client, and a file that can't be read is named with whatever names it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_refresher.core.model import Failed, Failure, Reason
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws import ecr as source
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.net.trust import Trust, context, trust_for
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.sts import TrustedRole
from tests.testbed.standins.tokens import TokenBook

VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
ROLE = "arn:aws:iam::210987654321:role/ecr-pull"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each that may name one."""
    named = {}
    for name in ("ca_file", "profile", *VARIABLES):
        (tmp_path / name).write_text("")
        named[name] = str(tmp_path / name)
    return named


def test_the_first_that_names_a_file_is_believed(files: dict[str, str]) -> None:
    environ = {name: files[name] for name in VARIABLES}
    assert trust_for(files["ca_file"], aws=True, environ=environ) == Trust(files["ca_file"], "ca_file")
    bundle = trust_for(aws=True, profile_bundle=files["profile"], environ=environ)
    assert bundle == Trust(files["AWS_CA_BUNDLE"], "AWS_CA_BUNDLE")
    del environ["AWS_CA_BUNDLE"]
    profile = trust_for(aws=True, profile_bundle=files["profile"], environ=environ)
    assert profile == Trust(files["profile"], "ca_bundle of the AWS profile")
    assert trust_for(aws=True, environ=environ) == Trust(files["REQUESTS_CA_BUNDLE"], "REQUESTS_CA_BUNDLE")
    del environ["REQUESTS_CA_BUNDLE"]
    assert trust_for(aws=True, environ=environ) == Trust(store=(files["SSL_CERT_FILE"], files["SSL_CERT_DIR"]))
    assert trust_for(aws=True, environ={}) == Trust()


def test_what_is_said_to_aws_is_not_for_airflow(files: dict[str, str]) -> None:
    environ = {"AWS_CA_BUNDLE": files["AWS_CA_BUNDLE"]}
    assert trust_for(environ=environ) == Trust()
    assert str(trust_for(environ=environ)) == "the system's CAs"


def failure(ca_file: str | None = None, **environ: str) -> Failure:
    with pytest.raises(Failed) as failed:
        context(trust_for(ca_file, aws=True, environ=environ))
    return failed.value.failure


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_that_can_t_be_read_is_named_with_its_variable(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening one waits for ever
    for path, why in (
        (tmp_path / "nothing", "no such file or directory"),
        (tmp_path, "it is a directory"),
        (tmp_path / "pipe", "it is not a regular file"),
        (Path("/dev/null/ca.pem"), "not a directory"),
    ):
        found = failure(**{name: str(path)})
        assert found.reason is Reason.MISSING
        assert found.message == f"the CA file {path}, named by {name}, can't be read: {why}"
        assert found.fix == f"Mount the file, or correct {name}"


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    found = failure(str(file))
    assert found.reason is Reason.INVALID
    assert f"the CA file {file}, named by ca_file, holds no certificate" in found.message


def test_an_empty_bundle_is_named() -> None:
    assert failure(AWS_CA_BUNDLE="").message == "AWS_CA_BUNDLE is empty"


def test_an_empty_variable_of_others_is_as_good_as_none() -> None:
    assert trust_for(aws=True, environ={"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": ""}) == Trust()


def test_a_machine_without_a_store_trusts_certifi_s(tmp_path: Path) -> None:
    """OpenSSL's default file can't be hidden from here, an empty one in its place can be given."""
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "none").mkdir()
    environ = {"SSL_CERT_FILE": str(tmp_path / "empty.pem"), "SSL_CERT_DIR": str(tmp_path / "none")}
    code = (
        "from ecr_refresher.job.net.trust import context, trust_for\n"
        "print(len(context(trust_for(aws=True)).get_ca_certs()))"
    )
    env = {"PYTHONPATH": os.pathsep.join(sys.path), **environ}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=True)
    assert int(ran.stdout) > 50


# --- AWS over TLS
@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "ca")


@pytest.fixture
def ecr(authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EcrStandIn]:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-worth")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with EcrStandIn(TokenBook(), "localhost", tls=authority.issue("localhost")) as ecr:
        monkeypatch.setenv("AWS_ENDPOINT_URL", ecr.url)
        yield ecr


def fetch(**how: str) -> None:
    clock = AwsClock()
    source.fetch(Aws(clock), clock, Principal("ecr", "us-east-1", **how))  # type: ignore[arg-type]


def test_a_ca_that_nobody_names_is_not_trusted(ecr: EcrStandIn) -> None:
    with pytest.raises(Failed, match=r"its certificate is not trusted here .*; trusted are the system's CAs"):
        fetch()


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_ecr_is_asked_with_the_trust_of_a_variable(
    ecr: EcrStandIn, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.ca_file))
    fetch()


def test_ecr_is_asked_with_a_company_s_ca_in_the_system_s_store(
    ecr: EcrStandIn, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A directory of hashed names, as `update-ca-certificates` makes it; botocore's own bundle lacks this CA."""
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.hashed(tmp_path / "certs")))
    fetch()


def test_the_profile_s_bundle_is_for_ecr_and_for_the_calls_of_botocore_itself(
    ecr: EcrStandIn, authority: CertificateAuthority, tmp_path: Path
) -> None:
    ecr.sts.roles[ROLE] = TrustedRole("AKIABASE")
    (tmp_path / "config").write_text(
        f"[profile data]\nrole_arn = {ROLE}\nsource_profile = base\nca_bundle = {authority.ca_file}\n"
        "region = us-east-1\n"
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = of-no-worth\n"
    )
    fetch(profile="data")
    assert [call.action for call in ecr.calls] == ["AssumeRole", "GetAuthorizationToken"]
    with pytest.raises(Failed, match="not trusted here"):
        fetch(profile="base")


def test_a_bundle_that_is_not_there_is_nothing_to_an_entry_with_its_own(
    ecr: EcrStandIn, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")
    fetch(ca_file=str(authority.ca_file))
    with pytest.raises(Failed, match="the CA file /nowhere, named by AWS_CA_BUNDLE, can't be read"):
        fetch()


def test_the_entry_s_ca_is_for_its_own_endpoint_alone(
    ecr: EcrStandIn, authority: CertificateAuthority, tmp_path: Path
) -> None:
    from ecr_refresher.core.plan import Role

    clock = AwsClock()
    how = {"endpoint_url": ecr.url, "ca_file": str(authority.ca_file)}
    source.fetch(Aws(clock), clock, Principal("ecr", "us-east-1", **how))  # type: ignore[arg-type]
    with pytest.raises(Failed, match=f"assuming the role {ROLE}: TLS with localhost failed"):
        source.fetch(Aws(clock), clock, Principal("ecr", "us-east-1", (Role(ROLE),), **how))  # type: ignore[arg-type]
