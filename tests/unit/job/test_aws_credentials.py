"""Where credentials come from, and why they don't: a failure names its source, and shows none of its words."""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core.model import Failed, Failure, Reason
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws import ecr as source
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.aws.credential_errors import none_found
from tests.testbed.processes import free_port, wait_until
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.serving import Exchange, Reply, StandIn
from tests.testbed.standins.sts import TrustedRole
from tests.testbed.standins.tokens import TokenBook

ROLE = "arn:aws:iam::210987654321:role/ecr-pull"
SECRET = "of-no-worth-in-this-test"
PROCESS = '#!/bin/sh\necho \'{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "of-no-worth"}\'\n'


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[EcrStandIn]:
    for name in [name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with EcrStandIn(TokenBook()) as ecr:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ecr.url)
        yield ecr
    assert ecr.crashes == []


def keys(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {"ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "SECRET_ACCESS_KEY": SECRET, **more}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def config(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)


def program(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "process"
    file.write_text(text)
    file.chmod(0o755)
    return file


def fetch(ecr: EcrStandIn, profile: str | None = None) -> None:
    clock = AwsClock()
    source.fetch(Aws(clock), clock, Principal("ecr", "us-east-1", endpoint_url=ecr.url, profile=profile))


def failure(ecr: EcrStandIn, profile: str | None = None) -> Failure:
    with pytest.raises(Failed) as failed:
        fetch(ecr, profile)
    found = failed.value.failure
    assert found.fix
    assert SECRET not in str(found)
    assert "hop limit" not in str(found)
    assert ecr.calls == []
    return found


# --- variables
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_ACCESS_KEY", f"{SECRET}\n"),
        ("SECRET_ACCESS_KEY", f" {SECRET}"),
        ("SESSION_TOKEN", f"{SECRET}\r\n"),
        ("SESSION_TOKEN", f"{SECRET}\x00".replace("\x00", "é")),
        ("ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE "),
    ],
)
def test_a_foreign_character_in_a_key_names_its_variable(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    keys(monkeypatch, **{variable: value})
    found = failure(ecr)
    assert found.reason is Reason.INVALID
    assert found.message.startswith(f"AWS_{variable} holds a blank, a line end")


def test_a_foreign_character_in_a_profile_s_key_names_the_profile(ecr: EcrStandIn, tmp_path: Path) -> None:
    config(tmp_path, f"[profile data]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET} {SECRET}\n")
    found = failure(ecr, "data")
    assert found.reason is Reason.INVALID
    assert "the AWS profile 'data' hold a blank" in found.message


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_an_empty_profile_is_named(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "")
    assert failure(ecr) == Failure(Reason.INVALID, f"{variable} is empty", f"Unset {variable}, or name a profile")


@pytest.mark.parametrize("of_a_role", [False, True])
def test_an_empty_ca_bundle_is_named(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, of_a_role: bool
) -> None:
    keys(monkeypatch)
    if of_a_role:  # botocore's own call
        config(
            tmp_path,
            f"[profile data]\nrole_arn = {ROLE}\nsource_profile = base\nregion = us-east-1\n"
            f"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n",
        )
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    found = failure(ecr, "data" if of_a_role else None)
    assert found.reason is Reason.INVALID
    assert found.message.endswith("AWS_CA_BUNDLE is empty")
    assert found.fix == "Unset AWS_CA_BUNDLE, or name a CA file in PEM format"


def test_an_empty_requests_bundle_is_as_good_as_none(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    fetch(ecr)


@pytest.mark.parametrize(("role", "said"), [("", "AWS_ROLE_ARN is empty"), (None, "AWS_ROLE_ARN is not set")])
def test_a_web_identity_without_its_role_is_named(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, role: str | None, said: str
) -> None:
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    if role is not None:
        monkeypatch.setenv("AWS_ROLE_ARN", role)
    found = failure(ecr)
    assert (found.reason, said in found.message) == (Reason.INVALID, True), found.message


def test_a_region_that_is_none_is_named(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us east 1")
    found = failure(ecr)
    assert (found.reason, "AWS_DEFAULT_REGION is not a region" in found.message) == (Reason.INVALID, True), found


def test_a_line_end_after_the_region_does_no_harm(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, REGION="us-east-1\n")
    fetch(ecr)


def test_a_configuration_that_can_t_be_parsed_is_named(ecr: EcrStandIn, tmp_path: Path) -> None:
    config(tmp_path, f"[profile data\naws_secret_access_key = {SECRET}\n")
    found = failure(ecr, "data")
    assert (found.reason, "AWS_CONFIG_FILE" in found.fix) == (Reason.INVALID, True), found


def test_no_credentials_name_each_source_and_the_hop_limit_where_it_counts(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(Failed) as failed:
        fetch(ecr)
    found = failed.value.failure
    assert found.reason is Reason.MISSING
    for source_of_keys in ("AWS_ACCESS_KEY_ID", "web identity", "the profile 'default'", "AWS_EC2_METADATA_DISABLED"):
        assert source_of_keys in found.message
    assert "hop limit must be 2" in found.fix
    named = none_found("data", {})
    assert "AWS_ACCESS_KEY_ID" not in named.failure.message  # a named profile is asked instead
    assert "the profile 'data'" in named.failure.message


# --- codes of MFA devices
def test_a_profile_that_asks_for_a_code_is_refused_by_its_name(ecr: EcrStandIn, tmp_path: Path) -> None:
    config(
        tmp_path,
        f"[profile data]\nrole_arn = {ROLE}\nsource_profile = hub\n"
        f"[profile hub]\nrole_arn = {ROLE}-hub\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/bob\n"
        f"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n",
    )
    for profile in ("data", "hub"):
        found = failure(ecr, profile)
        assert (found.reason, "the AWS profile 'hub' has mfa_serial" in found.message) == (Reason.INVALID, True), found


def test_a_serial_that_botocore_does_not_look_at_refuses_nothing(
    ecr: EcrStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_code = f"[profile data]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/bob\n"
    base = f"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\nmfa_serial = x\n"
    config(tmp_path, with_code + base)
    fetch(ecr, "base")  # keys of its own, no role
    keys(monkeypatch, PROFILE="data")  # the environment's keys come first
    fetch(ecr)


# --- credential_process
def test_a_credential_process_gives_keys(ecr: EcrStandIn, tmp_path: Path) -> None:
    config(tmp_path, f"[profile data]\ncredential_process = {program(tmp_path, PROCESS)}\n")
    fetch(ecr, "data")
    assert [call.access_key for call in ecr.calls] == ["AKIAPROCESS"]


@pytest.mark.parametrize(
    "text",
    [
        f"#!/bin/sh\necho {SECRET} >&2\nexit 3\n",
        f"#!/bin/sh\necho {SECRET}\n",
        f"#!/bin/sh\necho '[\"{SECRET}\"]'\n",
        f'#!/bin/sh\necho \'{{"Version": 7, "SecretAccessKey": "{SECRET}"}}\'\n',
        f'#!/bin/sh\necho \'{{"Version": 1, "SecretAccessKey": "{SECRET}"}}\'\n',
        "#!/bin/sh\nprintf '\\377\\376'\n",
    ],
)
def test_a_credential_process_that_fails_is_named_without_its_words(ecr: EcrStandIn, tmp_path: Path, text: str) -> None:
    process = program(tmp_path, text)
    config(
        tmp_path,
        f"[profile data]\nrole_arn = {ROLE}\nsource_profile = vault\n[profile vault]\ncredential_process = {process}\n",
    )
    for profile in ("vault", "data"):
        found = failure(ecr, profile)
        assert "the credential_process of the AWS profile 'vault' failed, or printed no credentials" in found.message
        assert found.reason is Reason.TRANSIENT


@pytest.mark.parametrize(("mode", "why"), [(None, "no such file"), (0o644, "permission denied")])
def test_a_credential_process_that_can_t_be_run_is_named(
    ecr: EcrStandIn, tmp_path: Path, mode: int | None, why: str
) -> None:
    process = tmp_path / "process"
    if mode is not None:
        process.write_text(PROCESS)
        process.chmod(mode)
    config(tmp_path, f"[profile data]\ncredential_process = {process}\n")
    found = failure(ecr, "data")
    assert found.reason is Reason.MISSING
    assert "the credential_process of the AWS profile 'data' can't be run" in found.message
    assert why in found.message


def test_a_credential_process_that_hangs_is_named_in_time_and_holds_up_nobody_else(
    ecr: EcrStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    process = program(tmp_path, f"#!/bin/sh\necho $$ > {pid}.new\nmv {pid}.new {pid}\nexec sleep 60\n")
    config(tmp_path, f"[profile slow]\ncredential_process = {process}\n")
    keys(monkeypatch)
    fetch(ecr)  # the first one loads the library, which takes its time on a busy machine
    clock = AwsClock()
    aws = Aws(clock, ends_at=boot_time() + 6)
    slow = Principal("ecr", "us-east-1", endpoint_url=ecr.url, profile="slow")
    failures: list[Failure] = []

    def wait_for_it() -> None:
        with pytest.raises(Failed) as failed:
            source.fetch(aws, clock, slow)
        failures.append(failed.value.failure)

    waiting = [threading.Thread(target=wait_for_it) for _ in range(3)]
    began = time.monotonic()
    for thread in waiting:
        thread.start()
    try:
        wait_until(pid.exists, 6, "the credential process")
        source.fetch(aws, clock, Principal("ecr", "us-east-1", endpoint_url=ecr.url))
        assert not failures
        for thread in waiting:
            thread.join(10)
        assert time.monotonic() - began < 6
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert {(one.reason, one.message.partition(" did not end")[0]) for one in failures} == {
        (Reason.TRANSIENT, "the credential_process of the AWS profile 'slow'")
    }
    assert len(failures) == 3


# --- root, and files of another user
@pytest.fixture
def alice(as_root: None, open_path: Path) -> Path:
    """The home of another user, whose process leaves a trace."""
    process = program(open_path, PROCESS.replace("\n", f"\ntouch {open_path}/ran\n", 1))
    for name, head in (("config", "profile alice"), ("credentials", "alice")):
        (open_path / ".aws").mkdir(exist_ok=True)
        (open_path / ".aws" / name).write_text(f"[{head}]\ncredential_process = {process}\n")
        for made in (open_path / ".aws" / name, open_path / ".aws"):
            os.chown(made, 12_345, 12_345)
    return open_path


@pytest.mark.parametrize(
    ("variable", "name"), [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
)
@pytest.mark.parametrize("by_home", [False, True])
def test_root_runs_no_program_that_another_user_s_file_names(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, alice: Path, variable: str, name: str, by_home: bool
) -> None:
    if by_home:
        monkeypatch.setenv("HOME", str(alice))
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, f"{alice}/.aws/{name}")
    found = failure(ecr, "alice")
    assert found.reason is Reason.DENIED
    assert f"{alice}/.aws/{name}: uid 12345 controls {alice}/.aws" in found.message
    assert variable in found.fix
    assert not (alice / "ran").exists()


def test_a_file_of_another_user_in_root_s_directory_is_root_s_choice(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, alice: Path
) -> None:
    os.chown(alice / ".aws", 0, 0)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{alice}/.aws/config")
    fetch(ecr, "alice")
    assert (alice / "ran").exists()


def test_in_another_user_s_home_without_files_root_has_its_keys_and_no_models_of_that_user(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, alice: Path
) -> None:
    for name, variable in (("config", "AWS_CONFIG_FILE"), ("credentials", "AWS_SHARED_CREDENTIALS_FILE")):
        monkeypatch.delenv(variable)
        (alice / ".aws" / name).unlink()
    (alice / ".aws" / "models").mkdir()
    (alice / ".aws" / "models" / "endpoints.json").write_text("none of AWS's")
    monkeypatch.setenv("HOME", str(alice))
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", f"{alice}/.aws/models")  # botocore sets it at import
    keys(monkeypatch)
    fetch(ecr)
    assert [call.access_key for call in ecr.calls] == ["AKIAIOSFODNN7EXAMPLE"]


# --- containers
class Agent(StandIn):
    """Answers every request in the same way."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply

    def respond(self, exchange: Exchange) -> None:
        exchange.send(self.reply)


@pytest.mark.parametrize("eks", [True, False])
def test_an_agent_that_answers_with_an_error_is_named_by_its_status(
    ecr: EcrStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, eks: bool
) -> None:
    if eks:
        (tmp_path / "token").write_text("jwt")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    with Agent(Reply(400, SECRET.encode(), "text/plain")) as agent:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{agent.url}/v1/credentials")
        found = failure(ecr)
    who = "the EKS Pod Identity agent" if eks else "the credentials endpoint of the container"
    assert found.reason is Reason.TRANSIENT
    assert found.message == f"{who} at 127.0.0.1:{agent.port} answered 400"


def test_an_agent_that_is_not_there_is_named(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/")
    found = failure(ecr)
    assert (found.reason, "did not answer" in found.message) == (Reason.TRANSIENT, True), found


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CREDENTIALS_FULL_URI": "http://metadata.example.com/"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host"),
        (
            {"CREDENTIALS_FULL_URI": "http://127.0.0.1:9/", "AUTHORIZATION_TOKEN": f"{SECRET}\n"},
            "the token for the container's credentials holds a line end",
        ),
        (
            {"CREDENTIALS_FULL_URI": "http://127.0.0.1:9/", "AUTHORIZATION_TOKEN_FILE": "/nowhere/token"},
            "/nowhere/token, named by AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, can't be read",
        ),
    ],
)
def test_a_container_s_variables_that_make_no_sense_are_named(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_CONTAINER_{name}", value)
    found = failure(ecr)
    assert said in found.message
    assert found.reason in (Reason.INVALID, Reason.MISSING)


# --- botocore's own calls
def test_the_role_of_a_profile_that_is_refused_is_named_with_the_profile(ecr: EcrStandIn, tmp_path: Path) -> None:
    config(
        tmp_path,
        f"[profile data]\nrole_arn = {ROLE}\nsource_profile = base\nregion = us-east-1\n"
        f"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET}\n",
    )
    ecr.sts.roles[ROLE] = TrustedRole("somebody else")
    with pytest.raises(Failed) as failed:
        fetch(ecr, "data")
    found = failed.value.failure
    assert found.reason is Reason.DENIED
    assert "assuming the role of the AWS profile 'data': arn:aws:iam::123456789012:user/AKIABASE" in found.message


def test_what_a_library_lets_out_is_never_shown(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent whose answer lacks a field: botocore raises a plain KeyError."""
    secret: dict[str, Any] = {"SecretAccessKey": SECRET, "Token": base64.b64encode(SECRET.encode()).decode()}
    with Agent(Reply.json(200, secret)) as agent:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
        found = failure(ecr)
    assert found.reason is Reason.INVALID


@pytest.mark.parametrize(
    "name", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI+K7MDENGbPxRfiC", "AKIAIOSFODNN7EXAMPLE"]
)
@pytest.mark.parametrize("how", ["setting", "AWS_PROFILE"])
def test_a_key_in_a_profiles_place_is_not_quoted(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    if how == "AWS_PROFILE":
        monkeypatch.setenv("AWS_PROFILE", name)
    found = failure(ecr, name if how == "setting" else None)
    assert found.message == "there is no AWS profile whose name looks like a secret"
    assert name not in found.fix
