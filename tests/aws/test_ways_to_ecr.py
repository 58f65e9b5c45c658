"""Every way to be somebody to ECR, by the real command line; the token lands at the registry under the right host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.aws.world import BASE_KEY, HOST, HUB, NO_KEYS, PARTNER, PULL, Metadata, World
from tests.testbed.daemon import Finished
from tests.testbed.moto import Moto
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.sts import TrustedRole


def error_of(done: Finished) -> dict[str, Any]:
    """The error of the one slot, with the fix as the log tells it."""
    assert done.exit_code == 1, done.stderr
    (slot,) = done.json()["slots"]
    error: dict[str, Any] = slot["error"]
    (logged,) = (line for line in done.logs() if line["event"] == "token_fetch_failed")
    assert logged["error"] == error["message"]
    return {**error, "fix": logged["fix"]}


def ini(path: Path, text: str) -> dict[str, str]:
    path.write_text(text)
    return {"AWS_CONFIG_FILE": str(path)}


# --- roles


def test_a_role_is_taken_on_with_the_base_keys(world: World) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY)
    done = world.once({"host": PARTNER, "role_arn": PULL, "role_session_name": "airflow-host-7"})
    assert done.exit_code == 0, done.stderr
    session = world.ecr.sts.sessions[world.landed(PARTNER)]
    assert (session.role_arn, session.name, session.by) == (PULL, "airflow-host-7", BASE_KEY)


def test_a_chain_of_two_roles_is_walked_in_its_order(world: World) -> None:
    world.ecr.sts.roles |= {HUB: TrustedRole(BASE_KEY), PULL: TrustedRole(HUB, external_id="team-data")}
    done = world.once({"host": PARTNER, "role_arn": [HUB, PULL], "external_id": "team-data"})
    assert done.exit_code == 0, done.stderr
    session = world.ecr.sts.sessions[world.landed(PARTNER)]
    assert (session.role_arn, session.name, session.by) == (PULL, "ecr-refresher", HUB)


def test_the_refusal_of_a_chain_names_the_role_that_refused_and_the_one_that_asked(world: World) -> None:
    world.ecr.sts.roles |= {HUB: TrustedRole(BASE_KEY), PULL: TrustedRole(BASE_KEY)}  # not the hub
    error = error_of(world.once({"host": PARTNER, "role_arn": [HUB, PULL]}))
    assert error["reason"] == "denied"
    assert f"assuming the role {PULL} (number 2 of the chain): {HUB} may not call sts:AssumeRole" in error["message"]
    assert f"Allow sts:AssumeRole to the role {HUB} in the trust policy" in error["fix"]
    assert world.who_asked() == []


@pytest.mark.parametrize(("given", "fix"), [(None, "give external_id if"), ("team-dat", "correct external_id if")])
def test_the_fix_names_an_external_id_that_is_missing_or_wrong(world: World, given: str | None, fix: str) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY, external_id="team-data")
    registry = {"host": PARTNER, "role_arn": PULL} | ({"external_id": given} if given else {})
    error = error_of(world.once(registry))
    assert error["reason"] == "denied"
    assert fix in error["fix"]
    assert world.delivered() == {}


def test_the_external_id_that_is_asked_for_opens(world: World) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY, external_id="team-data")
    assert world.once({"host": PARTNER, "role_arn": PULL, "external_id": "team-data"}).exit_code == 0
    assert world.ecr.sts.who(world.landed(PARTNER)) == PULL


def test_one_role_is_taken_on_once_for_all_its_registries_and_regions(world: World) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY)
    regions = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")
    hosts = [f"21098765432{n}.dkr.ecr.{region}.amazonaws.com" for n in range(10) for region in regions]
    done = world.once(*({"host": host, "role_arn": PULL} for host in hosts))
    assert done.exit_code == 0, done.stderr
    assert [call.action for call in world.ecr.calls].count("AssumeRole") == 1
    assert sorted(world.who_asked()) == sorted(f"{PULL} {region}" for region in regions)
    assert set(world.delivered()) == set(world.proved()) == set(hosts)


def test_two_roles_use_one_registry_by_two_names(world: World) -> None:
    world.ecr.sts.roles |= {HUB: TrustedRole(BASE_KEY), PULL: TrustedRole(BASE_KEY)}
    registries = [{"host": PARTNER, "name": name, "role_arn": arn} for name, arn in (("a", HUB), ("b", PULL))]
    files = {name: world.directory / name / "config.json" for name in ("a", "b")}
    settings = {
        "registries": [{"registry_url": world.front.url, **registry} for registry in registries],
        "docker": [{"config_file": str(file), "registries": [name]} for name, file in files.items()],
    }
    env = {"AWS_ENDPOINT_URL_STS": world.ecr.url}
    done = world.run_cli("once", "--json", settings=settings, ecr_url=world.ecr.url, env=env)
    assert done.exit_code == 0, done.stderr
    assert sorted(world.who_asked()) == [f"{HUB} eu-west-1", f"{PULL} eu-west-1"]
    assert files["a"].read_text() != files["b"].read_text()


# --- base credentials


def test_a_profile_with_a_source_profile(world: World, tmp_path: Path, secrets_seen: Secrets) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole("AKIASOURCEPROFILE234")
    secret = secrets_seen.add("source-profile-secret-key")
    env = ini(
        tmp_path / "aws-config",
        f"[profile data]\nrole_arn = {PULL}\nsource_profile = base\nregion = eu-west-1\n"
        f"[profile base]\naws_access_key_id = AKIASOURCEPROFILE234\naws_secret_access_key = {secret}\n",
    )
    done = world.once({"host": PARTNER, "profile": "data"}, env=env)  # the environment's own keys step back
    assert done.exit_code == 0, done.stderr
    assert world.ecr.sts.sessions[world.landed(PARTNER)].by == "AKIASOURCEPROFILE234"


def web_identity(world: World, tmp_path: Path, token: str, role: str = PULL) -> dict[str, str]:
    file = tmp_path / "web-token"
    file.write_text(token)
    return {**NO_KEYS, "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(file)}


def test_web_identity(world: World, tmp_path: Path, secrets_seen: Secrets) -> None:
    token = secrets_seen.add("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl")
    world.ecr.sts.roles[PULL] = TrustedRole(web_token=token)
    done = world.once({"host": PARTNER}, env=web_identity(world, tmp_path, token))
    assert done.exit_code == 0, done.stderr
    assert world.ecr.sts.sessions[world.landed(PARTNER)].by == "web identity"


def test_a_web_identity_that_is_not_trusted_is_told_as_such(world: World, tmp_path: Path) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(web_token="another")
    error = error_of(world.once({"host": PARTNER}, env=web_identity(world, tmp_path, "stale-web-token")))
    assert error["reason"] == "denied"
    assert "role of the web identity (AWS_ROLE_ARN): AWS refuses the token of the web identity" in error["message"]


def test_a_web_identity_token_that_is_not_there_is_missing(world: World, tmp_path: Path) -> None:
    env = {**NO_KEYS, "AWS_ROLE_ARN": PULL, "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "not-there")}
    error = error_of(world.once({"host": PARTNER}, env=env))
    assert (error["reason"], "not-there, named by AWS_WEB_IDENTITY_TOKEN_FILE, can't be read" in error["message"]) == (
        "missing",
        True,
    )


def test_imdsv2(world: World, metadata: Metadata) -> None:
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
    done = world.once({"host": HOST}, env=env)
    assert done.exit_code == 0, done.stderr
    assert world.landed(HOST) == metadata.key
    assert metadata.asked[0] == "PUT /latest/api/token"


def test_a_role_is_taken_on_with_the_keys_of_the_instance(world: World, metadata: Metadata) -> None:
    world.ecr.sts.roles[PULL] = TrustedRole(metadata.key)
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
    assert world.once({"host": PARTNER, "role_arn": PULL}, env=env).exit_code == 0
    assert world.ecr.sts.sessions[world.landed(PARTNER)].by == metadata.key


def test_ecs_container_credentials(world: World, metadata: Metadata) -> None:
    env = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/credentials"}
    done = world.once({"host": HOST}, env=env)
    assert done.exit_code == 0, done.stderr
    assert world.landed(HOST) == metadata.key


def test_eks_pod_identity_sends_the_token_of_its_file(
    world: World, metadata: Metadata, tmp_path: Path, secrets_seen: Secrets
) -> None:
    metadata.authorization = secrets_seen.add("pod-identity-token-of-this-test")
    file = tmp_path / "pod-token"
    file.write_text(metadata.authorization)
    env = {
        **NO_KEYS,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata.url}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
    }
    done = world.once({"host": HOST}, env=env)
    assert done.exit_code == 0, done.stderr
    assert world.landed(HOST) == metadata.key


def test_metadata_is_never_asked_through_a_proxy(world: World, metadata: Metadata, secrets_seen: Secrets) -> None:
    with Metadata(secrets_seen) as proxy:  # whatever it is asked for, it says 401
        env = {
            **NO_KEYS,
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
            "HTTP_PROXY": proxy.url,
            "NO_PROXY": "example.com",
        }
        done = world.once({"host": HOST}, env=env)
    assert done.exit_code == 0, done.stderr
    assert (len(metadata.asked), proxy.asked) == (3, [])


def test_no_credentials_are_told_with_every_source_that_was_tried(world: World) -> None:
    env = {**NO_KEYS, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    error = error_of(world.once({"host": HOST}, env=env))
    assert error["reason"] == "missing"
    for said in ("AWS_ACCESS_KEY_ID", "web identity", "profile 'default'", "the container's role"):
        assert said in error["message"]
    assert "hop limit must be 2" in error["fix"]


def test_a_profile_that_is_not_there_is_named(world: World) -> None:
    error = error_of(world.once({"host": HOST, "profile": "dta"}))
    assert (error["reason"], "no AWS profile 'dta'" in error["message"]) == ("missing", True)


@pytest.mark.parametrize("command", ["once", "check"])
def test_what_is_on_this_machine_is_asked_directly(world: World, tmp_path: Path, command: str) -> None:
    password = tmp_path / "password"
    password.write_text("ecr-refresher")
    password.chmod(0o600)
    env = {"AWS_ENDPOINT_URL_STS": world.ecr.url, "HTTP_PROXY": "http://127.0.0.1:9"}
    with AirflowStandIn() as airflow:
        settings = {
            "registries": [{"host": HOST, "registry_url": world.front.url}],
            "docker": {"config_file": str(world.config_file)},
            "airflow": {"url": airflow.url, "username": "ecr-refresher", "password_file": str(password)},
        }
        done = world.run_cli(command, "--json", settings=settings, ecr_url=world.ecr.url, env=env)
        if command == "once":
            assert list(airflow.connections) == ["docker_default"]
        else:
            tried = {leg["leg"] for leg in done.json()["legs"] if leg["verdict"] == "ok"}
            assert {"route", "airflow", "login", "permissions"} <= tried
    assert done.exit_code == 0, done.stdout
    assert "the proxy http" not in done.stdout


# --- the other ways of writing


@pytest.mark.parametrize(
    "host", [f"123456789012.{name}" for name in ("dkr.ecr-fips.us-east-1.amazonaws.com", "dkr-ecr.us-east-1.on.aws")]
)
def test_a_host_of_another_kind_is_served_where_an_endpoint_is_given_too(world: World, host: str) -> None:
    """AWS_ENDPOINT_URL_ECR names the endpoint; botocore takes none beside FIPS or dual-stack."""
    world.ecr.sts.roles[PULL] = TrustedRole(BASE_KEY)
    done = world.once({"host": host, "role_arn": PULL})
    assert done.exit_code == 0, done.stderr
    assert set(world.delivered()) == {host}


def test_a_domain_of_one_s_own_is_a_registry_like_any_other(world: World) -> None:
    done = world.once({"host": "docker.example.com", "account": "210987654321", "region": "eu-west-1"})
    assert done.exit_code == 0, done.stderr
    assert world.who_asked() == [f"{BASE_KEY} eu-west-1"]
    assert set(world.delivered()) == set(world.proved()) == {"docker.example.com"}


def test_aliases_bring_the_same_token_under_every_name(world: World) -> None:
    done = world.once({"host": HOST, "aliases": True})
    assert done.exit_code == 0, done.stderr
    delivered = world.delivered()
    assert set(delivered) == {
        HOST,
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
        "123456789012.dkr-ecr.us-east-1.on.aws",
        "123456789012.dkr-ecr-fips.us-east-1.on.aws",
    }
    assert (len(set(delivered.values())), len(world.book.all_issued()), set(world.proved())) == (1, 1, {HOST})


def test_ecr_public_and_an_own_endpoint(world: World) -> None:
    env = {"AWS_ENDPOINT_URL_ECR_PUBLIC": world.ecr.url, "AWS_ENDPOINT_URL_ECR": "http://127.0.0.1:9"}
    done = world.once({"host": "public.ecr.aws"}, {"host": HOST, "endpoint_url": world.ecr.url}, env=env)
    assert done.exit_code == 0, done.stderr
    assert set(world.proved()) == set(world.delivered()) == {"public.ecr.aws", HOST}
    assert sorted(call.service for call in world.ecr.calls) == ["ecr", "ecr-public"]


def test_the_probe_names_the_rights_that_a_pull_through_cache_needs(world: World) -> None:
    world.front.forbid("ecr:BatchImportUpstreamImage")
    done = world.once({"host": HOST, "probe_image": "docker-hub/library/busybox:1"})
    assert done.exit_code == 0  # a finding of the probe only warns
    (warning,) = (line for line in done.logs() if line["event"] == "proof_failed")
    assert "Allow ecr:BatchImportUpstreamImage on the repository" in warning["fix"]
    assert "ecr:CreateRepository" in warning["fix"]


# --- another STS and IMDSv2 than our own


@pytest.mark.parametrize("roles", [PULL, [HUB, PULL]])
def test_moto_gives_keys_for_a_role_and_for_a_chain(world: World, moto: Moto, roles: object) -> None:
    world.sts_url = moto.url
    done = world.once({"host": PARTNER, "role_arn": roles, "external_id": "team-data"})
    assert done.exit_code == 0, done.stderr
    assert world.landed(PARTNER).startswith("ASIA")


def test_moto_gives_keys_for_a_web_identity(world: World, moto: Moto, tmp_path: Path, secrets_seen: Secrets) -> None:
    world.sts_url = moto.url
    token = secrets_seen.add("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtb3RvIn0.c2lnbmF0dXJl")
    done = world.once({"host": PARTNER}, env=web_identity(world, tmp_path, token))
    assert done.exit_code == 0, done.stderr
    assert world.landed(PARTNER).startswith("ASIA")


def test_moto_gives_keys_for_a_profile_with_a_source_profile(world: World, moto: Moto, tmp_path: Path) -> None:
    world.sts_url = moto.url
    env = ini(
        tmp_path / "aws-config",
        f"[profile data]\nrole_arn = {PULL}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIASOURCEPROFILE234\naws_secret_access_key = of-no-worth-to-moto\n",
    )
    done = world.once({"host": PARTNER, "profile": "data"}, env=env)
    assert done.exit_code == 0, done.stderr
    assert world.landed(PARTNER).startswith("ASIA")


def test_motos_imdsv2(world: World, moto: Moto) -> None:
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": moto.url}
    done = world.once({"host": HOST}, env=env)
    assert done.exit_code == 0, done.stderr
    assert world.landed(HOST) not in ("", BASE_KEY)
