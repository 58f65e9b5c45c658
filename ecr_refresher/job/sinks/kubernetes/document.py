"""The content of a pull secret, and what we record beside it: one entry of `auths` changes, all others stay. Pure.

A `kubernetes.io/dockerconfigjson` secret holds one value, `.dockerconfigjson`: a config.json as the kubelet reads it.
Its annotations record for each registry until when the token is valid, and a fingerprint of the entry.
"""

import base64
import hashlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, field

from ....core.model import NOTHING, Credential, Failed, Holding, Reason
from ....core.times import moment, rfc3339
from . import answers

T = TypeVar("T")
TYPE = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
UNTIL, FINGERPRINT = "until.ecr-refresher", "sha256.ecr-refresher"  # prefixes of annotations; the host follows
LABEL = {"app.kubernetes.io/managed-by": "ecr-refresher"}
MEMBERS_MAX = 20_000  # ten times what fits into a secret of 1 MiB with tokens in it
_NAME_MAX = 63  # of an annotation's name behind its prefix (Kubernetes' rule for label keys)


class Content(Struct):
    """A secret as the API server gives it."""

    class Metadata(Struct, rename="camel"):
        resource_version: str
        annotations: Raw = Raw(b"null")

    class Data(Struct):
        config: str | None = field(default=None, name=KEY)

    metadata: Metadata
    type: str = ""
    data: Data | None = None

    def __post_init__(self) -> None:
        self.metadata.annotations = self.metadata.annotations.copy()  # it kept the whole answer

    @property
    def config(self) -> bytes:
        """A config.json; an empty one where a kubelet could not use it. Raises Failed where only we can't read it."""
        text = b""
        with suppress(ValueError):
            text = base64.b64decode((self.data and self.data.config) or "", validate=True).strip()
        try:
            if bytes(answers.read(text, _Config).auths)[:1] in (b"{", b"n"):  # an object, or null
                return text
        except (ValueError, RecursionError):
            if text.startswith(b"{") and text.endswith(b"}"):
                raise _unreadable() from None
        return b"{}"

    @property
    def size(self) -> int:
        """What it takes of memory, in bytes."""
        texts = (self.metadata.resource_version, self.data and self.data.config)
        return len(self.metadata.annotations) + sum(map(sys.getsizeof, texts))


class _Config(Struct):
    auths: Raw = Raw(b"{}")


class _Login(Struct):
    """An entry of `auths`, in both forms that readers want: `auth` for the kubelet, the others for Argo CD and more."""

    username: str | None = None
    password: str | None = None
    auth: str | None = None


def holding(content: Content | None, host: str) -> Holding:
    """What the secret holds for this registry; nothing where a kubelet would find no login, or not the recorded one."""
    with suppress(KeyError, ValueError, RecursionError):
        if content is not None:
            annotations = _members(content.metadata.annotations, str)
            login = answers.read(auths(content.config)[host], _Login)
            if annotations[_annotation(FINGERPRINT, host)] == _fingerprint(login):
                return Holding(moment(annotations.get(_annotation(UNTIL, host), "")))
    return NOTHING


def patch(content: Content, logins: Mapping[str, Credential]) -> dict[str, Any]:
    """A merge patch that renews our entries, by host; it applies only to the version that was read."""
    body = _body(content.config, logins)
    body["metadata"]["resourceVersion"] = content.metadata.resource_version
    return body


def new(name: str, logins: Mapping[str, Credential]) -> dict[str, Any]:
    """A whole secret that holds these logins."""
    body = _body(b"{}", logins)
    body["metadata"] |= {"name": name, "labels": LABEL}
    return {"apiVersion": "v1", "kind": "Secret", "type": TYPE, **body}


def _body(config: bytes, logins: Mapping[str, Credential]) -> dict[str, Any]:
    entries = {host: _login(credential) for host, credential in logins.items()}
    recorded = {}
    for host, credential in logins.items():
        recorded[_annotation(UNTIL, host)] = rfc3339(credential.expires_at)
        recorded[_annotation(FINGERPRINT, host)] = _fingerprint(entries[host])
    renewed: dict[str, Raw | _Login] = {**auths(config), **entries}
    text = msgspec.json.encode({**_members(config, Raw), "auths": renewed})
    return {"metadata": {"annotations": recorded}, "data": {KEY: base64.b64encode(text).decode()}}


def auths(config: bytes) -> dict[str, Raw]:
    """The entries of a config.json. Raises Failed."""
    return _members(answers.read(config, _Config).auths, Raw)


def _members(text: bytes, kind: type[T]) -> dict[str, T]:
    """An object's members; none of null. Raises Failed, also for so many that they would fill the memory."""
    if bytes(text).count(b":") > MEMBERS_MAX:
        what = f"the secret has more than {MEMBERS_MAX:,} entries or annotations"
        raise Failed(Reason.INVALID, what, "Remove those that do not belong there")
    try:
        return answers.read(text, dict[str, kind] | None) or {}  # type: ignore[arg-type, valid-type]
    except (ValueError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> Failed:
    """It is kept: what Go reads and we don't, an escape that stands for no character say, may hold others' logins."""
    what = "the secret's value or annotations can't be read, and may hold logins of others"
    return Failed(Reason.INVALID, what, "Correct it, or delete the secret: the next pass creates it again")


def _login(credential: Credential) -> _Login:
    name, password = credential.username, credential.secret.reveal()
    return _Login(name, password, base64.b64encode(f"{name}:{password}".encode()).decode())


def _fingerprint(login: _Login) -> str:
    """Half of a SHA-256 over the login; a token has far too much entropy to be guessed by it."""
    text = f"{login.username}\0{login.password}\0{login.auth}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _annotation(prefix: str, host: str) -> str:
    if len(host) <= _NAME_MAX:
        return f"{prefix}/{host}"
    return f"{prefix}/{host[: _NAME_MAX - 9]}-{hashlib.sha256(host.encode()).hexdigest()[:8]}"


def bare(key: str) -> str:
    """A key of `auths` as the kubelet matches it against image names: schemes and `/v1/`, `/v2/` do not count.

    The longest that is the image's host, or a path above the image, wins (kubelet's credentialprovider keyring).
    """
    return key.removeprefix("https://").removeprefix("http://").removesuffix("/v1/").removesuffix("/v2/").rstrip("/")
