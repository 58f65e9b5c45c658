"""The prepared faults: what is spoiled, what `check` must say of it, and the fix that it names, carried out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.check_world import BASE_KEY, TRUST, UNPRIVILEGED, World, keys, mount, unmount
from tests.integration.settings import CONNECTION
from tests.testbed.registry import HOST, REPOSITORY
from tests.testbed.standins.aws_faults import Answer, AwsError, Denied, Throttled
from tests.testbed.standins.sts import TrustedRole

HUB = "arn:aws:iam::123456789012:role/hub"
PULL = "arn:aws:iam::123456789012:role/ecr-pull"
UNKNOWN_KEY = AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
Act = Callable[[World], object]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault. `said` are words of the finding, `advised` are words of its fix."""

    name: str
    leg: str
    said: str
    advised: str
    spoil: Act
    fix: Act
    verdict: str = "failed"
    needs: str = "docker"  # which settings it starts from: docker, engine, airflow, reader
    also: str | None = None  # another leg that fails for it


def _all(*acts: Act) -> Act:
    def act(world: World) -> None:
        for each in acts:
            each(world)

    return act


def _settings(world: World, **more: Any) -> None:
    world.settings |= more


def _registry(world: World, **more: Any) -> None:
    world.settings["registries"] = [{"host": HOST, **more}]


def _file(world: World, **more: Any) -> None:
    world.settings["docker"] |= more


def _airflow(world: World, **more: Any) -> None:
    world.settings["airflow"] |= more


def _env(world: World, **more: str) -> None:
    world.env |= more


def _roles(world: World, **roles: TrustedRole) -> None:
    world.ecr.sts.roles = {f"arn:aws:iam::123456789012:role/{name}": role for name, role in roles.items()}


def _without(*names: str) -> Act:
    def act(world: World) -> None:
        world.env = keys(world.env, *names)

    return act


def _once(*words: str) -> Act:
    def act(world: World) -> None:
        done = world.run("once", "--strict", *words)
        assert done.exit_code == 0, done.stderr

    return act


def _heal_ecr(world: World) -> None:
    world.ecr.heal()


def _heal_registry(world: World) -> None:
    world.registry.front.heal()


AWS = [
    Fault(
        "no credentials",
        "credentials",
        "no AWS credentials were found",
        "Give the instance, task or pod a role",
        lambda w: _env(w, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""),
        _without("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ),
    Fault(
        "unknown access key",
        "credentials",
        "AWS does not know the access key",
        "aws sts get-caller-identity",
        lambda w: w.ecr.always(UNKNOWN_KEY, action="GetCallerIdentity"),
        _heal_ecr,
    ),
    Fault(
        "no right to ask for a token",
        "token",
        "may not call ecr:GetAuthorizationToken (AccessDeniedException)",
        "Allow ecr:GetAuthorizationToken on *",
        lambda w: w.ecr.always(Denied()),
        _heal_ecr,
    ),
    Fault(
        "throttled",
        "token",
        "AWS asks for fewer requests",
        "Wait for the next try",
        lambda w: w.ecr.always(Throttled()),
        _heal_ecr,
    ),
    Fault(
        "an answer without a token",
        "token",
        "holds no token",
        "Look for a proxy or a test endpoint in between",
        lambda w: w.ecr.always(Answer(token="")),
        _heal_ecr,
    ),
    Fault(
        "a role that does not trust us",
        "role",
        f"assuming the role {PULL}: arn:aws:iam::123456789012:user/",
        "Allow sts:AssumeRole to the base identity in the trust policy of that role",
        lambda w: _registry(w, role_arn=PULL),
        lambda w: _roles(w, **{"ecr-pull": TrustedRole(BASE_KEY)}),
    ),
    Fault(
        "the second role of a chain",
        "role",
        f"the role {PULL} (number 2 of the chain): {HUB} may not call sts:AssumeRole",
        f"to the role {HUB}",
        _all(
            lambda w: _roles(w, hub=TrustedRole(BASE_KEY), **{"ecr-pull": TrustedRole(BASE_KEY)}),
            lambda w: _registry(w, role_arn=[HUB, PULL]),
        ),
        lambda w: _roles(w, hub=TrustedRole(BASE_KEY), **{"ecr-pull": TrustedRole(HUB)}),
    ),
    Fault(
        "a wrong external id",
        "role",
        "may not call sts:AssumeRole",
        "correct external_id if that policy asks for another",
        _all(
            lambda w: _roles(w, **{"ecr-pull": TrustedRole(BASE_KEY, external_id="team-data")}),
            lambda w: _registry(w, role_arn=PULL, external_id="team-dat"),
        ),
        lambda w: _registry(w, role_arn=PULL, external_id="team-data"),
    ),
    Fault(
        "this machine's clock",
        "clock",
        "10 min ahead of AWS's",
        "chronyc tracking",
        lambda w: setattr(w.ecr, "date_offset_s", -630.0),
        lambda w: setattr(w.ecr, "date_offset_s", 0.0),
    ),
    Fault(
        "nobody at ECR's endpoint",
        "route",
        "no connection to 127.0.0.1: connection refused",
        "VPC endpoints",
        lambda w: _env(w, AWS_ENDPOINT_URL_ECR="http://127.0.0.1:9"),
        _without("AWS_ENDPOINT_URL_ECR"),
    ),
]

REGISTRY = [
    Fault(
        "a dead proxy",
        "route",
        "the proxy http://127.0.0.1:9 can't be reached",
        f"name {HOST} in NO_PROXY",
        lambda w: _env(w, HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1"),
        lambda w: _env(w, NO_PROXY=f"127.0.0.1,{HOST}"),
    ),
    Fault(
        "a CA that is not trusted",
        "route",
        "its certificate is not trusted here",
        "Give its CA as ca_file",
        _without("SSL_CERT_FILE"),
        lambda w: _registry(w, ca_file=str(w.registry.ca_file), endpoint_url=w.ecr.url),
    ),
    Fault(
        "a CA file that is not there",
        "route",
        "the CA file /nowhere/ca.pem, named by ca_file, can't be read",
        "Mount the file, or correct ca_file",
        lambda w: _registry(w, ca_file="/nowhere/ca.pem", endpoint_url=w.ecr.url),
        lambda w: _registry(w, ca_file=str(w.registry.ca_file), endpoint_url=w.ecr.url),
    ),
    Fault(
        "a host that DNS does not know",
        "route",
        "DNS knows no nowhere.invalid",
        "DNS",
        lambda w: _registry(w, registry_url="https://nowhere.invalid"),
        lambda w: _registry(w, registry_url=f"https://{HOST}"),
    ),
    Fault(
        "a registry that refuses the token",
        "registry",
        "refuses the token that ECR has just granted (401)",
        "endpoint_url",
        lambda w: w.registry.front.refuse(),
        _heal_registry,
    ),
    Fault(
        "a proxy's page in place of the registry",
        "registry",
        "answered 403",
        "Look for a proxy in between",
        lambda w: w.registry.front.proxy403(),
        _heal_registry,
    ),
    Fault(
        "an image that is not there",
        "pull",
        f"{HOST} has no image web_scrapper:latest",
        "Correct probe_image",
        lambda w: _registry(w, probe_image="web_scrapper:latest"),
        lambda w: _registry(w, probe_image=f"{REPOSITORY}:latest"),
    ),
    Fault(
        "no right to pull",
        "pull",
        "may not be pulled",
        "Allow ecr:BatchGetImage on the repository",
        _all(
            lambda w: _registry(w, probe_image=f"{REPOSITORY}:latest"),
            lambda w: w.registry.front.forbid("ecr:BatchGetImage"),
        ),
        _heal_registry,
    ),
    Fault(
        "no right to pull through a cache",
        "pull",
        "may not be pulled",
        "the first pull through a cache needs ecr:BatchImportUpstreamImage and ecr:CreateRepository",
        _all(
            lambda w: _registry(w, probe_image=f"{REPOSITORY}:latest"),
            lambda w: w.registry.front.forbid("ecr:BatchImportUpstreamImage"),
        ),
        _heal_registry,
    ),
]

AIRFLOW = [
    Fault(
        "no Airflow there",
        "route",
        "no connection to 127.0.0.1: connection refused",
        "Check its address, that it is up",
        lambda w: _airflow(w, url="http://127.0.0.1:9"),
        lambda w: _airflow(w, url=w.airflow.url),
        needs="airflow",
    ),
    Fault(
        "a wrong path",
        "airflow",
        "with a web page (200)",
        "correct url, its path included",
        lambda w: _airflow(w, url=f"{w.airflow.url}/deployment"),
        lambda w: _airflow(w, url=w.airflow.url),
        needs="airflow",
    ),
    Fault(
        "a wrong password",
        "login",
        "refuses the user viewer with the password in the file",
        "correct the user viewer with the password in the file",
        lambda w: _airflow(w, username="viewer"),
        lambda w: _airflow(w, username="oper"),
        needs="airflow",
    ),
    Fault(
        "a password file that is not there",
        "login",
        "the file /nowhere/password does not exist (yet)",
        "create it with the secret in it",
        lambda w: _airflow(w, password_file="/nowhere/password"),
        lambda w: _settings(w, airflow=w.to_airflow("oper")),
        needs="airflow",
    ),
    Fault(
        "a password that everybody may read",
        "login",
        "everybody may read ",
        "chmod o-r ",
        lambda w: (w.directory / "password-of-oper").chmod(0o644),
        lambda w: (w.directory / "password-of-oper").chmod(0o600),
        verdict="warning",
        needs="airflow",
    ),
    Fault(
        "a user who may not edit connections",
        "permissions",
        "the user viewer has no can_edit and no can_create on Connections (403)",
        "can_read, can_create and can_edit on Connections (with the SimpleAuthManager: the role op)",
        lambda w: _settings(w, airflow=w.to_airflow("viewer")),
        lambda w: _settings(w, airflow=w.to_airflow("oper")),
        needs="airflow",
        also="connection",
    ),
    Fault(
        "port 443",
        "connection",
        "its port is 443",
        "empty the port in Airflow, Admin, Connections",
        lambda w: w.patch(port=443),
        lambda w: w.patch(port=None),
        needs="airflow",
    ),
    Fault(
        "reauth: false",
        "connection",
        "reauth: false",
        "remove reauth from the extra",
        lambda w: w.patch(extra='{"reauth": false}'),
        lambda w: w.patch(extra=None),
        verdict="warning",
        needs="airflow",
    ),
    Fault(
        "a scheme in the host",
        "connection",
        f"its host has a scheme in front ('https://{HOST}')",
        "run `ecr-refresher once`",
        lambda w: w.patch(host=f"https://{HOST}"),
        _once(),
        verdict="warning",
        needs="airflow",
    ),
    Fault(
        "an expired login in Airflow",
        "connection",
        "its login expired at 2026-01-02T03:04:05Z",
        "run `ecr-refresher once`",
        lambda w: w.patch(description=f"[ecr-refresher: {HOST} until 2026-01-02T03:04:05Z]"),
        _once(),
        needs="airflow",
    ),
    Fault(
        "no connection, and none may be made",
        "connection",
        "there is no connection docker_default",
        "set create: true",
        _all(
            lambda w: w.airflow.delete_connection(CONNECTION),
            lambda w: _airflow(w, connections={CONNECTION: {"registry": HOST, "create": False}}),
        ),
        _all(lambda w: _airflow(w, connections={CONNECTION: {"registry": HOST, "create": True}}), _once()),
        needs="airflow",
    ),
]


def _bind(world: World) -> None:
    mount("--bind", world.config_file, world.config_file)


def _read_only(world: World) -> None:
    mount("--bind", world.config_file.parent, world.config_file.parent)
    mount("-o", "remount,bind,ro", world.config_file.parent)


def _somebody_elses(world: World) -> None:
    world.prefix = UNPRIVILEGED
    world.config_file.parent.chmod(0o755)
    os.chown(world.config_file.parent, 1234, 0)


def _give_away(world: World) -> None:
    for file in world.config_file.parent.iterdir():
        os.chown(file, 1234, 1234)


def _log_in_again(world: World) -> None:
    world.config_file.unlink()
    _once()(world)


def _elsewhere(world: World) -> Path:
    return world.directory / "home"


def _old_entry(key: str) -> Fault:
    """Another entry of the same host, which the real docker command removes by its own key."""
    return Fault(
        f"an old entry {key}",
        "entry",
        f"an old entry '{key}' is beside it",
        f"logout {key}, then",
        lambda w: w.rewrite(auths={HOST: w.auth(), key: w.auth()}),
        _all(lambda w: w.engine.docker("logout", key, config=w.config_file.parent), _once()),
        verdict="warning",
    )


DOCKER = [
    Fault(
        "a file that is mounted alone",
        "file",
        "is mounted as a single file",
        "Mount its directory instead",
        _bind,
        lambda w: unmount(w.config_file),
    ),
    Fault(
        "a read-only disk",
        "file",
        "is read-only",
        "Mount it writable",
        _read_only,
        lambda w: unmount(w.config_file.parent),
    ),
    Fault(
        "a directory of somebody else",
        "file",
        "uid 1234 controls ",
        'Set owner: "1234"',
        _somebody_elses,
        lambda w: os.chown(w.config_file.parent, 0, 0),
        also="helper",
    ),
    Fault(
        "a file that everybody may read",
        "file",
        "its mode is 0644, so everybody may read the login",
        "Run chmod o-r ",
        lambda w: w.config_file.chmod(0o644),
        lambda w: w.config_file.chmod(0o600),
        verdict="warning",
    ),
    Fault(
        "files that root has left to another owner",
        "file",
        "uid 1234 may not write ",
        "chown 1234 ",
        _all(
            lambda w: _file(w, owner="1234:1234"),
            lambda w: os.chown(w.config_file.parent, 1234, 1234),
        ),
        _give_away,
        also="helper",
    ),
    Fault(
        "a file that is no JSON",
        "helper",
        "not JSON at line 1",
        "or move it away and log in again",
        lambda w: w.config_file.write_text('{"auths": '),
        _log_in_again,
    ),
    Fault(
        "a credential store that is not installed",
        "helper",
        "docker-credential-secretservice claims it and is not on PATH",
        "or credsStore, in",
        lambda w: w.rewrite(credsStore="secretservice"),
        lambda w: w.rewrite(credsStore=None),
    ),
    Fault(
        "a helper for ECR that is not installed",
        "helper",
        "docker-credential-ecr-login claims it and is not on PATH",
        f"remove {HOST} from credHelpers",
        lambda w: w.rewrite(credHelpers={HOST: "ecr-login"}),
        lambda w: w.rewrite(credHelpers=None),
    ),
    _old_entry(f"https://{HOST}"),
    _old_entry(f"https://{HOST}/v2/"),
    Fault(
        "another home than the reader's",
        "reader",
        "/home/.docker/config.json, which ",
        "Set DOCKER_CONFIG=",
        _all(_without("DOCKER_CONFIG"), lambda w: _env(w, HOME=str(_elsewhere(w)))),
        lambda w: _env(w, DOCKER_CONFIG=str(w.config_file.parent)),
        verdict="warning",
    ),
    Fault(
        "somebody logged out",
        "entry",
        "it holds no login",
        "run `ecr-refresher once`",
        lambda w: w.engine.docker("logout", HOST, config=w.config_file.parent),
        _once(),
        verdict="warning",
    ),
]


def _closed_socket(world: World) -> None:
    world.prefix = UNPRIVILEGED
    os.chown(world.engine.socket, 1234, 4321)


ENGINE = [
    Fault(
        "no engine there",
        "engine",
        "there is no engine at unix:///nowhere/docker.sock",
        "mount its socket",
        lambda w: _file(w, engine="unix:///nowhere/docker.sock"),
        lambda w: _file(w, engine=w.engine.url),
        needs="engine",
    ),
    Fault(
        "a socket of another group",
        "engine",
        "uid 0 may not open the engine's socket",
        "(gid 4321)",
        _closed_socket,
        lambda w: setattr(w, "prefix", (*UNPRIVILEGED[:-1], "--groups=4321")),
        needs="engine",
    ),
    Fault(
        "an engine that does not trust the registry",
        "engine login",
        f"could not log in at {HOST}: it does not trust the registry's certificate",
        f"/etc/docker/certs.d/{HOST}/ca.crt",
        lambda w: TRUST.unlink(),
        lambda w: shutil.copyfile(w.registry.ca_file, TRUST),
        needs="engine",
    ),
]


def _backend(world: World) -> None:
    world.shadow.write_text(
        '{"docker_default": {"conn_type": "docker", "host": "elsewhere", "login": "AWS", "password": "x"}}'
    )
    _env(
        world,
        AIRFLOW__SECRETS__BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
        AIRFLOW__SECRETS__BACKEND_KWARGS=f'{{"connections_file_path": "{world.shadow}"}}',
    )


def _stale_for_workers(world: World) -> None:
    """A copy that somebody made once of what is delivered, where only workers look."""
    marker = f"[ecr-refresher: {HOST} until 2099-01-01T00:00:00Z]"
    entry = {"conn_type": "docker", "host": HOST, "login": "AWS", "password": "x", "description": marker}
    world.shadow.write_text(json.dumps({CONNECTION: entry}))
    _env(
        world,
        AIRFLOW__WORKERS__SECRETS_BACKEND="airflow.secrets.local_filesystem.LocalFilesystemBackend",
        AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS=json.dumps({"connections_file_path": str(world.shadow)}),
    )


READER = [
    Fault(
        "a stale entry in the workers' secrets backend",
        "reader",
        "comes from the workers' secrets backend airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "remove it there",
        _stale_for_workers,
        lambda w: w.shadow.write_text("{}"),
        needs="reader",
    ),
    Fault(
        "a variable that shadows the connection",
        "reader",
        "the environment variable AIRFLOW_CONN_DOCKER_DEFAULT is set",
        "remove it where Airflow's scheduler",
        lambda w: _env(w, AIRFLOW_CONN_DOCKER_DEFAULT="docker://AWS:old-password@elsewhere"),
        _without("AIRFLOW_CONN_DOCKER_DEFAULT"),
        needs="reader",
    ),
    Fault(
        "a secrets backend that shadows the connection",
        "reader",
        "the connection comes from the secrets backend airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "deliver through that backend",
        _backend,
        lambda w: w.shadow.write_text("{}"),
        needs="reader",
    ),
]

SETTINGS = [
    Fault(
        "a misspelt key",
        "settings",
        "registrys: is not a known key",
        "Did you mean 'registries'?",
        lambda w: _settings(w, registrys=[HOST]),
        lambda w: w.settings.pop("registrys"),
    ),
]

FAULTS = [*SETTINGS, *AWS, *REGISTRY, *DOCKER, *ENGINE, *AIRFLOW, *READER]
