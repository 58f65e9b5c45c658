"""The content of a pull secret, and what we record beside it: one entry of `auths` changes, all others stay. Pure.

A `kubernetes.io/dockerconfigjson` secret holds one value, `.dockerconfigjson`: a config.json as the kubelet reads it.
Its annotations record for each registry until when the token is valid, and a fingerprint of the entry.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ....core.model import NOTHING, Credential, Holding
from ....core.times import moment, rfc3339

TYPE = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
UNTIL, FINGERPRINT = "until.ecr-refresher", "sha256.ecr-refresher"  # prefixes of annotations; the host follows
LABEL = {"app.kubernetes.io/managed-by": "ecr-refresher"}
_NAME_MAX = 63  # of an annotation's name behind its prefix (Kubernetes' rule for label keys)


@dataclass(frozen=True, slots=True)
class Content:
    """A secret as it was read. `version` is its resourceVersion; `config` is None where the value is not valid."""

    type: str
    version: str
    annotations: Mapping[str, str]
    config: Mapping[str, Any] | None


def read(type_: str, version: str, annotations: Mapping[str, str] | None, data: Mapping[str, str] | None) -> Content:
    """Read the parts of a secret; a value that a kubelet could not read is None."""
    config = None
    with suppress(ValueError, RecursionError):
        found = json.loads(base64.b64decode((data or {}).get(KEY) or "", validate=True))
        if isinstance(found, dict) and isinstance(found.setdefault("auths", {}), dict):
            config = found
    return Content(type_, version, annotations or {}, config)


def holding(content: Content | None, host: str) -> Holding:
    """What the secret holds for this registry; nothing where a kubelet would find no login, or not the recorded one."""
    if content is None or content.config is None:
        return NOTHING
    entry = content.config["auths"].get(host)
    recorded = content.annotations.get(_annotation(FINGERPRINT, host))
    if not isinstance(entry, dict) or recorded is None or recorded != _fingerprint(entry):
        return NOTHING
    return Holding(moment(content.annotations.get(_annotation(UNTIL, host), "")))


def patch(content: Content, logins: Mapping[str, Credential]) -> dict[str, Any]:
    """A merge patch that renews our entries, by host; it applies only to the version that was read."""
    body = _body(content.config or {"auths": {}}, logins)
    body["metadata"]["resourceVersion"] = content.version
    return body


def new(name: str, logins: Mapping[str, Credential]) -> dict[str, Any]:
    """A whole secret that holds these logins."""
    body = _body({"auths": {}}, logins)
    body["metadata"] |= {"name": name, "labels": LABEL}
    return {"apiVersion": "v1", "kind": "Secret", "type": TYPE, **body}


def _body(config: Mapping[str, Any], logins: Mapping[str, Credential]) -> dict[str, Any]:
    entries = {host: _entry(credential) for host, credential in logins.items()}
    recorded = {}
    for host, credential in logins.items():
        recorded[_annotation(UNTIL, host)] = rfc3339(credential.expires_at)
        recorded[_annotation(FINGERPRINT, host)] = _fingerprint(entries[host])
    whole = {**config, "auths": {**config["auths"], **entries}}
    value = base64.b64encode(json.dumps(whole, ensure_ascii=False).encode()).decode()
    return {"metadata": {"annotations": recorded}, "data": {KEY: value}}


def _entry(credential: Credential) -> dict[str, str]:
    """In both forms that readers want: `auth` for the kubelet, name and password for Argo CD and others."""
    name, password = credential.username, credential.secret.reveal()
    auth = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"username": name, "password": password, "auth": auth}


def _fingerprint(entry: Mapping[str, Any]) -> str:
    """Half of a SHA-256 over the login; a token has far too much entropy to be guessed by it."""
    login = [str(entry.get(key)) for key in ("username", "password", "auth")]
    return hashlib.sha256("\0".join(login).encode()).hexdigest()[:32]


def _annotation(prefix: str, host: str) -> str:
    if len(host) <= _NAME_MAX:
        return f"{prefix}/{host}"
    return f"{prefix}/{host[: _NAME_MAX - 9]}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


def bare(key: str) -> str:
    """A key of `auths` as the kubelet matches it against image names: schemes and `/v1/`, `/v2/` do not count.

    The longest that is the image's host, or a path above the image, wins (kubelet's credentialprovider keyring).
    """
    return key.removeprefix("https://").removeprefix("http://").removesuffix("/v1/").removesuffix("/v2/").rstrip("/")
