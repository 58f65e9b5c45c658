"""Proof at the registry: would a pull with this token pass? Only ECR's own refusal counts as one."""

from __future__ import annotations

import os
import re
import ssl
import threading
from dataclasses import dataclass
from functools import cache

import urllib3

from ...core.model import Credential, Failed, Failure, Reason
from ...core.plan import Registry
from .proxies import pool_for

PROOF_S = 3.0
_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)


_PULL_THROUGH = "ecr:BatchImportUpstreamImage and ecr:CreateRepository"
_BODY_MAX = 8192
_reading = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a registry said to one request."""

    status: int
    asks_for: str  # WWW-Authenticate
    body: bytes  # of a refusal, its beginning


class Refused(Exception):
    """The registry itself says that the token is not good: 401 with ECR's `WWW-Authenticate: Basic`."""


def prove(registry: Registry, credential: Credential) -> None:
    """Try the token with `GET /v2/`.

    Raises Refused, or Failed for every other finding: those are warnings, since a proxy's 403 must never cause the
    outage that it was meant to foresee.
    """
    answer = _get(registry, credential, "/v2/")
    if answer.status == 401 and answer.asks_for.lower().startswith("basic "):
        raise Refused
    if answer.status != 200:
        raise Failed(
            Reason.INVALID, f"{registry.host} answered {answer.status} to the proof of a new token; a proxy in between?"
        )


def probe(registry: Registry, credential: Credential) -> None:
    """Look whether `probe_image` could be pulled. Raises Failed with what is missing; it is a warning."""
    repository, _, tag = (registry.probe_image or "").partition(":")
    answer = _get(registry, credential, f"/v2/{repository}/manifests/{tag or 'latest'}")
    if answer.status in (401, 403):
        raise Failed(
            Reason.DENIED,
            f"{registry.probe_image} may not be pulled from {registry.host} ({answer.status}); {_right(answer.body)}",
        )
    if answer.status == 404:
        cached = f"; of a pull-through cache: allow {_PULL_THROUGH}" if "/" in repository else ""
        raise Failed(
            Reason.MISSING,
            f"{registry.host} has no image {registry.probe_image}; correct probe_image or push it{cached}",
        )
    if answer.status != 200:
        raise Failed(
            Reason.TRANSIENT, f"{registry.host} answered {answer.status} to the look for {registry.probe_image}"
        )


def _right(body: bytes) -> str:
    """The right that is missing, as ECR names it; nothing else of its message is passed on."""
    named = sorted({match.decode() for match in re.findall(rb"\becr(?:-public)?:[A-Z][A-Za-z]{2,60}\b", body)})
    if not named:
        return "allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository, in its policy or the role's"
    allow = f"allow {' and '.join(named)} on the repository, in its policy or the role's"
    if any(right in _PULL_THROUGH for right in named):
        return f"{allow}: the first pull through a cache needs {_PULL_THROUGH}"
    return allow


def as_failure(error: Exception) -> Failure:
    """What a proof's exception comes to in a report line."""
    if isinstance(error, Refused):
        return Failure(Reason.INVALID, "the registry refuses the new token (401)")
    if isinstance(error, Failed):
        return error.failure
    return Failure(Reason.INTERNAL, f"the proof failed ({type(error).__name__})")


def _get(registry: Registry, credential: Credential, path: str, method: str = "GET") -> _Answer:
    base = registry.registry_url or f"https://{registry.host}"
    login = urllib3.make_headers(basic_auth=f"{credential.username}:{credential.secret.reveal()}")
    timeout = urllib3.Timeout(total=PROOF_S)
    try:
        answer = _pool(base, registry.ca_file).request(
            method,
            base.rstrip("/") + path,
            headers={**login, "Host": registry.host, "Accept": _MANIFESTS},
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = answer.read(_BODY_MAX, decode_content=False)
        finally:
            if answer.connection is not None:  # not read to its end, or it would be back in the pool by itself
                answer.close()
        return _Answer(answer.status, answer.headers.get("www-authenticate", ""), body)
    except urllib3.exceptions.SSLError:
        raise Failed(
            Reason.INVALID, f"{registry.host}: TLS failed; give its CA as ca_file, or in SSL_CERT_FILE"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise Failed(Reason.TRANSIENT, f"{registry.host} could not be reached ({type(error).__name__})") from None
    except OSError as error:
        raise Failed(Reason.TRANSIENT, f"{registry.host} could not be reached ({error.strerror})") from None


def _pool(base: str, ca_file: str | None) -> urllib3.PoolManager:
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        with _reading:  # once, however many ask at the same time
            trust = _trust(ca_file, bundle, os.environ.get("SSL_CERT_FILE"))
        return pool_for(base, trust)
    except OSError:
        raise Failed(Reason.MISSING, "the CA file can't be read; correct ca_file, or AWS_CA_BUNDLE") from None


@cache
def _trust(ca_file: str | None, bundle: str | None, _system: str | None) -> ssl.SSLContext:
    """Whom to trust. To read the system's CAs takes 20 ms: a hundred registries share what was read."""
    context = ssl.create_default_context(cafile=ca_file)
    if bundle and ca_file is None:  # a company's CA that botocore was given is meant for this as well
        context.load_verify_locations(cafile=bundle)
    return context


def manifest_status(registry: Registry, credential: Credential, path: str) -> int:
    """The status of a registry's answer to a HEAD of a manifest: 200 if a pull could have it now. Raises Failed."""
    return _get(registry, credential, path, method="HEAD").status
