"""Airflows of the plan: one login each, no secret over plain http, no connection claimed twice."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ....core import plan
from ....core.plan.airflow import TEAM_SEP
from ..problems import Spot, quoted
from ..schema import airflow as schema
from ..schema.urls import is_foreign_http
from ..surroundings import Surroundings
from .registries import Registries, own_region

CONNECTION_ID_MAX = 200  # Airflow's column
MWAA_PATH_MAX = 64  # characters of AWS's InvokeRestApi, "/connections/" among them

_SECRETS = ("password", "token", "client_secret")
_LOGIN = ("username", "client_id", *(f"{name}{suffix}" for name in _SECRETS for suffix in ("", "_file", "_env")))
# Headers that the request itself sets.
_OURS = ("accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")


def resolve(
    entries: Sequence[schema.AirflowEntry], at: Spot, registries: Registries, surroundings: Surroundings
) -> tuple[plan.Airflow, ...]:
    """Make the plan's Airflows, and note what is wrong."""
    claims: dict[tuple[str, str | None, str], Spot] = {}
    found = []
    for index, entry in enumerate(entries):
        here = at / index
        if entry.name is None and len(entries) > 1:
            (here / "name").error("is missing", "Give each of several Airflows a name")
        elif entry.name is not None and entry.name in [other.name for other in entries[:index]]:
            (here / "name").error(f"is the name of another Airflow: {quoted(entry.name)}", "Give each its own")
        connections = _connections(entry, here / "connections", registries)
        way = {"url": ""} | _way(entry, here, surroundings)
        airflow = plan.Airflow(entry.name or "default", connections=connections, **way)
        for connection in connections if airflow.target else ():
            claimed = here / "connections" / connection.id
            # A secrets backend keeps a team's connection under another name.
            team = connection.team_name if airflow.by_backend else None
            first = claims.setdefault((airflow.target, team, connection.id), claimed)
            if first is not claimed:  # they would overwrite each other without end
                claimed.error(f"{first} claims this connection of the same Airflow", "Remove one of them")
        found.append(airflow)
    return tuple(found)


def _way(entry: schema.AirflowEntry, at: Spot, surroundings: Surroundings) -> dict[str, Any]:
    """The fields of the plan's Airflow that say how it is reached."""
    if isinstance(entry, schema.ApiEntry):
        return _by_api(entry, at)
    if isinstance(entry, schema.SecretsFileEntry):
        if entry.file is None:
            (at / "file").error("is missing", "Give connections_file_path of Airflow's LocalFilesystemBackend")
        if entry.mode is not None and entry.mode & 0o004:
            (at / "mode").warn(f'"{entry.mode:04o}" lets everybody read the login', 'Write "0640" for a group')
        return {"secrets_file": plan.SecretsFile(entry.file or "", entry.mode)}
    region = entry.region or own_region(at, surroundings)
    if isinstance(entry, schema.SecretsManagerEntry):
        prefix = entry.prefix.rstrip(entry.sep)
        return {"secrets_manager": plan.SecretsManager(prefix, region, entry.role_arn, entry.sep)}
    if isinstance(entry, schema.ParameterStoreEntry):
        prefix = f"/{entry.prefix.strip('/')}".rstrip("/")
        return {"parameter_store": plan.ParameterStore(prefix, region, entry.role_arn)}
    return {"mwaa": plan.Mwaa(entry.mwaa_environment or "", region, entry.role_arn)}


def _by_api(entry: schema.ApiEntry, at: Spot) -> dict[str, Any]:
    url = at / "url"
    if entry.url is None:
        url.error("is missing", "Give Airflow's base URL, e.g. https://airflow.example.com")
    elif is_foreign_http(entry.url):
        if entry.allow_http:
            url.warn("is plain http: others can read passwords on the way", "Write https://")
        else:
            url.error("is plain http to another host", "Write https://, or set allow_http: true in the settings file")
    at.check_pair(entry, "client_cert", "client_key")
    return {
        **entry.model_dump(include={"username", "client_cert", "client_key", "ca_file"}),
        **_login(entry, at),
        "url": entry.url or "",
        "headers": _headers(entry.headers, at / "headers"),
    }


def _login(entry: schema.ApiEntry, at: Spot) -> dict[str, Any]:
    """The password, the token or the client: one of them, the others None."""
    password, token, secret = (_reference(entry, f"{name}_", at) for name in _SECRETS)
    if at.is_spoiled(*_LOGIN):
        return {}
    by_password, by_client = password or entry.username, secret or entry.client_id
    logins = sum(map(bool, (by_password, token, by_client)))
    if logins > 1:
        fix = "Give one: username and password, or a token, or client_id and client_secret"
        at.error(f"has {'two' if logins == 2 else 'three'} logins", fix)
    elif not logins and not entry.headers:
        at.error(
            "has no login",
            "Give username and password_file (or password_env), or token_file (or token_env), or client_id and "
            "client_secret_file; in the environment ECR_REFRESHER_AIRFLOW_USERNAME and _AIRFLOW_PASSWORD_FILE, or "
            "_AIRFLOW_TOKEN_FILE",
        )
    else:
        for name, kind, ref in (("username", "password", password), ("client_id", "client_secret", secret)):
            if ref is None and getattr(entry, name) is not None:
                more = "; in the environment ECR_REFRESHER_AIRFLOW_PASSWORD_FILE or ECR_REFRESHER_AIRFLOW_PASSWORD"
                fix = f"Give {kind}_file or {kind}_env: {name} needs it{more if kind == 'password' else ''}"
                (at / f"{kind}_file").error("is missing", fix)
            elif ref is not None and getattr(entry, name) is None:
                (at / name).error("is missing", f"Set it: a {kind} alone is no login")
    for key, other in (("token_url", "client_id"), ("scope", "token_url"), ("audience", "token_url")):
        if getattr(entry, key) is not None and getattr(entry, other) is None:
            (at / key).error(f"needs {other}", f"Set {other}, or remove {key}")
    client = None
    if secret is not None and entry.client_id is not None:
        client = plan.Client(entry.client_id, secret, entry.token_url, entry.scope, entry.audience)
    return {"password": password, "token": token, "client": client}


def _reference(entry: schema.ApiEntry | schema.HeaderEntry, prefix: str, at: Spot) -> plan.SecretRef | None:
    """Where a secret is read from: the entry's key `{prefix}file`, or `{prefix}env`."""
    file, variable = getattr(entry, f"{prefix}file"), getattr(entry, f"{prefix}env")
    if file is not None and variable is not None:
        (at / f"{prefix}file").error(f"is given beside {prefix}env", "Keep one of them")
    if file is not None:
        return plan.SecretRef("file", file)
    return plan.SecretRef("env", variable) if variable is not None else None


def _headers(headers: Mapping[str, schema.HeaderEntry], at: Spot) -> tuple[plan.Header, ...]:
    """The headers that a proxy before Airflow requires."""
    found: dict[str, plan.Header] = {}
    for name, entry in headers.items():
        here = at / name
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
            here.error("is not the name of a header", "Write letters, digits and '-'")
        elif name.lower() == "authorization":
            here.error("is the login's header", "Give username and password_file, or token_file")
        elif name.lower() in _OURS:
            here.error("is set by the request itself", "Remove it")
        elif name.lower() in found:
            here.error("is given twice: upper and lower case are the same", "Remove one")
        if value := _reference(entry, "", here):
            found[name.lower()] = plan.Header(name, value)
        else:
            here.error("has no value", "Write {file: PATH}, or {env: NAME}")
    return tuple(found.values())


def _connections(entry: schema.AirflowEntry, at: Spot, registries: Registries) -> tuple[plan.Connection, ...]:
    if not entry.connections:
        only = None if at.is_spoiled() else registries.only(at)
        return (plan.Connection("docker_default", only),) if only else ()
    found = []
    for id_, one in entry.connections.items():
        here = at / id_
        _check_id(id_, one.team_name, entry, here)
        by_registry = here / "registry"
        registry = registries.only(by_registry) if one.registry is None else registries.find(one.registry, by_registry)
        if registry is not None:
            found.append(plan.Connection(id_, registry, one.create, one.team_name, required=one.required))
    return tuple(found)


def _check_id(id_: str, team: str | None, entry: schema.AirflowEntry, at: Spot) -> None:
    """A connection id as this way into Airflow takes it."""
    by_rest = isinstance(entry, schema.ApiEntry | schema.MwaaEntry)
    if len(id_) > CONNECTION_ID_MAX:
        at.error(f"is longer than the {CONNECTION_ID_MAX} characters of Airflow's ids", "Shorten it")
    elif not re.fullmatch(r"[\w.-]+" if by_rest else r"[\w./-]+", id_):
        at.error("is not a connection id that Airflow takes", "Write letters, digits, '_', '.' and '-'")
    elif isinstance(entry, schema.MwaaEntry) and len(f"/connections/{quote(id_, safe='')}") > MWAA_PATH_MAX:
        at.error("is too long for the API of MWAA", "Shorten it to 51 plain characters")
    if team is None:
        return
    if isinstance(entry, schema.SecretsFileEntry):
        (at / "team_name").error("has no effect: Airflow's LocalFilesystemBackend knows no teams", "Remove it")
    elif not by_rest and TEAM_SEP in id_:
        what = f"can't be used with an id that has '{TEAM_SEP}' in it: Airflow refuses it"
        (at / "team_name").error(what, "Rename the connection")
