"""`check` by the real command line, on stand-ins: what depends on the identity, and on where it is run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.aws.world import BASE_KEY, HOST, NO_KEYS, PARTNER, PULL, Metadata, World
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.daemon import Finished
from tests.testbed.standins.aws_faults import Denied
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.sts import TrustedRole


def check(world: World, settings: dict[str, Any], *words: str, **env: str) -> Finished:
    surroundings = {"AWS_ENDPOINT_URL_STS": world.ecr.url, "DOCKER_CONFIG": str(world.config_file.parent), **env}
    return world.run_cli("check", "--json", *words, settings=settings, ecr_url=world.ecr.url, env=surroundings)


def legs(done: Finished, name: str) -> list[tuple[str, str]]:
    """The verdict and first finding of each leg of that name."""
    return [
        (leg["verdict"], leg["findings"][0]["text"]) for leg in done.json()["legs"] if leg["leg"] == name
    ]  # fmt: skip


def settings_of(world: World, **registry: Any) -> dict[str, Any]:
    return {
        "registries": [{"registry_url": world.front.url, **registry}],
        "docker": {"config_file": str(world.config_file)},
    }


def test_the_callers_own_registry_is_found_out(world: World) -> None:
    done = check(world, settings_of(world))
    assert done.exit_code == 0, done.stdout
    assert legs(done, "own registry") == [("ok", f"it is {HOST}")]
    assert legs(done, "registry") == [("ok", "it accepts the token")]


def test_what_needs_the_own_registry_is_not_tried_without_credentials(world: World) -> None:
    done = check(world, settings_of(world), **NO_KEYS)
    assert done.exit_code == 1
    assert legs(done, "own registry")[0][0] == "failed"
    assert legs(done, "entry") == [("not_tried", "'own registry' of default failed")]


def test_a_role_is_told_with_whom_it_makes_of_us(world: World) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY)
    done = check(world, settings_of(world, host=PARTNER, role_arn=PULL))
    assert done.exit_code == 0, done.stdout
    assert legs(done, "credentials")[0][1].startswith("arn:aws:iam::123456789012:user/")
    assert [verdict for verdict, _ in legs(done, "role")] == ["ok"]
    assert [call.action for call in world.ecr.calls].count("AssumeRole") == 1


def test_credentials_of_the_instance_are_told_as_such(world: World, metadata: Metadata) -> None:
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
    done = check(world, settings_of(world, host=HOST), **env)
    assert done.exit_code == 0, done.stdout
    assert "(from the instance's role)" in legs(done, "credentials")[0][1]


def test_an_sts_that_does_not_answer_is_no_failure_while_ecr_does(world: World) -> None:
    done = check(world, settings_of(world, host=HOST), AWS_ENDPOINT_URL_STS="http://127.0.0.1:9")
    assert done.exit_code == 0, done.stdout
    ((verdict, text),) = legs(done, "credentials")
    assert verdict == "warning"
    assert "credentials were found (from the environment)" in text
    assert [verdict for verdict, _ in legs(done, "token")] == ["ok"]


def test_what_is_not_required_only_warns(world: World) -> None:
    world.ecr.always(Denied())
    done = check(world, settings_of(world, host=HOST, required=False))
    assert done.exit_code == 0
    ((verdict, text),) = legs(done, "token")
    assert verdict == "warning"
    assert text.endswith("(not required)")
    assert legs(done, "registry")[0][0] == "not_tried"


def test_the_table_is_for_people_and_fits_their_terminal(world: World) -> None:
    surroundings = {"AWS_ENDPOINT_URL_STS": world.ecr.url}
    settings = settings_of(world, host=HOST)
    done = world.run_cli("check", settings=settings, ecr_url=world.ecr.url, env=surroundings)
    assert done.exit_code == 0, done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\x1b" not in done.stdout
    assert not world.config_file.parent.exists()


@pytest.mark.parametrize("found", [False, True])
def test_a_reader_needs_no_aws(world: World, tmp_path: Path, *, found: bool) -> None:
    """Airflow is a script here; the real one is asked by tests/integration/test_check_faults.py."""
    airflow = tmp_path / "bin" / "airflow"
    airflow.parent.mkdir()
    row = '[{"id": "1", "conn_type": "docker", "host": "elsewhere", "login": "AWS", "password": "hunter2hunter2"}]'
    airflow.write_text(f"#!/bin/sh\necho a line of a plugin\necho '{row}'\n" if found else "#!/bin/sh\nexit 3\n")
    airflow.chmod(0o755)
    settings = settings_of(world, host=HOST)
    settings["airflow"] = {"url": "https://airflow.example.com", "username": "x", "password_file": "/nowhere"}
    path = f"{airflow.parent}:{os.environ['PATH']}"
    done = check(world, settings, "--reader", PATH=path, **NO_KEYS)
    assert world.ecr.calls == []
    assert "hunter2" not in done.stdout
    verdict, text = legs(done, "reader")[0]
    assert (verdict, text) == (
        ("warning", "it holds no login whose expiry is known")
        if found
        else ("failed", "`airflow version` ended with status 3")
    )


def test_a_variable_shadows_airflows_database_but_no_secrets_backend(world: World, tmp_path: Path) -> None:
    """Airflow asks the backend that is configured, then its environment, then its database."""
    airflow = tmp_path / "bin" / "airflow"
    airflow.parent.mkdir()
    marker = f"[ecr-refresher: {HOST} until 2036-01-01T00:00:00Z]"
    row = {"id": None, "conn_type": "docker", "host": HOST, "login": "AWS", "description": marker}
    airflow.write_text(f"#!/bin/sh\necho '{json.dumps([row])}'\n")
    airflow.chmod(0o755)
    shadowed = {"PATH": f"{airflow.parent}:{os.environ['PATH']}", "AIRFLOW_CONN_DOCKER_DEFAULT": "docker://x"}
    settings = {"registries": [HOST]}
    api = {"url": "https://airflow.example.com", "username": "x", "password_file": "/nowhere"}
    file = {"kind": "secrets_file", "file": str(tmp_path / "connections.yaml")}
    verdict, text = legs(check(world, settings | {"airflow": api}, "--reader", **shadowed), "reader")[0]
    assert (verdict, "AIRFLOW_CONN_DOCKER_DEFAULT is set" in text) == ("failed", True)
    verdict, text = legs(check(world, settings | {"airflow": file}, "--reader", **shadowed), "reader")[0]
    assert (verdict, "later than any token" in text) == ("warning", True)


@pytest.mark.parametrize("named_by", [None, "AWS_CA_BUNDLE", "SSL_CERT_FILE", "ca_bundle", "SSL_CERT_DIR"])
def test_the_way_to_ecr_is_tried_with_the_very_trust_of_a_fetch(
    world: World, tmp_path: Path, named_by: str | None
) -> None:
    authority = CertificateAuthority(tmp_path / "ca")
    registry = {"host": HOST, "registry_url": world.front.url}
    env = {"AWS_ENDPOINT_URL_STS": world.ecr.url}
    if named_by == "ca_bundle":
        registry["profile"] = "data"
        env["AWS_CONFIG_FILE"] = str(tmp_path / "aws")
        (tmp_path / "aws").write_text(
            f"[profile data]\nca_bundle = {authority.ca_file}\naws_access_key_id = {BASE_KEY}\n"
            "aws_secret_access_key = of-no-worth\n"
        )
    elif named_by == "SSL_CERT_DIR":  # as update-ca-certificates keeps a company's CA in the system's store
        env[named_by] = str(authority.hashed(tmp_path / "certs"))
    elif named_by:
        env[named_by] = str(authority.ca_file)
    settings = {"registries": [registry], "docker": {"config_file": str(world.config_file)}}
    with EcrStandIn(world.book, "localhost", tls=authority.issue("localhost")) as ecr:
        once, check = (
            world.run_cli(command, "--json", settings=settings, ecr_url=ecr.url, env=env)
            for command in ("once", "check")
        )
    legs = check.json()["legs"]
    (route,) = [leg["verdict"] for leg in legs if leg["leg"] == "route" and "API" in leg["subject"]]
    (token,) = [leg["verdict"] for leg in legs if leg["leg"] == "token"]
    assert (route, token, once.exit_code) == (("ok", "ok", 0) if named_by else ("failed", "not_tried", 1))
