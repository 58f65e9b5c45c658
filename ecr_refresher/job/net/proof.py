"""Proof at the registry: would a pull with this token pass? Only ECR's own refusal counts as one."""

import re

import urllib3

from ...core import budgets
from ...core.model import Credential, Failed, Reason
from ...core.plan import Registry
from . import http
from .trust import Trust, trust_for

_S = budgets.PROOF_ANSWER_S
LIMITS = http.Limits(_S, _S, _S, answer_max=budgets.PROOF_ANSWER_MAX, status_only=True)
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_PULL_THROUGH = "ecr:BatchImportUpstreamImage and ecr:CreateRepository"


class Refused(Failed):
    """The registry itself says that the token is not good: 401 with ECR's `WWW-Authenticate: Basic`."""

    def __init__(self) -> None:
        fix = "Wait for the next token; if it lasts, check endpoint_url and the registry's host"
        super().__init__(Reason.INVALID, "the registry refuses the new token (401)", fix)


def prove(registry: Registry, credential: Credential, trust: Trust | None = None) -> None:
    """Try the token with `GET /v2/`. `trust` is that of the registry's AWS profile, where it is known.

    Raises Refused, or another Failed for every other finding: those are warnings, since a proxy's 403 must never cause
    the outage that the proof is there to foresee.
    """
    answer = _get(registry, credential, "/v2/", trust)
    if answer.status == 401 and answer.headers.get("www-authenticate", "").lower().startswith("basic "):
        raise Refused
    if answer.status != 200:
        message = f"{registry.host} answered {answer.status} to the proof of a new token"
        raise Failed(Reason.INVALID, message, "Look for a proxy in between, and check the registry's host")


def probe(registry: Registry, credential: Credential, trust: Trust | None = None) -> None:
    """Look whether `probe_image` could be pulled. Raises Failed with what is missing; it is a warning."""
    image = registry.probe_image or ""
    repository, _, tag = image.partition(":")
    answer = _get(registry, credential, f"/v2/{repository}/manifests/{tag or 'latest'}", trust)
    if answer.status in (401, 403):
        message = f"{image} may not be pulled from {registry.host} ({answer.status})"
        raise Failed(Reason.DENIED, message, _allow(answer.data))
    if answer.status == 404:
        cached = f"; for a pull-through cache, allow {_PULL_THROUGH}" if "/" in repository else ""
        message = f"{registry.host} has no image {image}"
        raise Failed(Reason.MISSING, message, f"Correct probe_image, or push the image{cached}")
    if answer.status != 200:
        message = f"{registry.host} answered {answer.status} to the look for {image}"
        raise Failed(Reason.TRANSIENT, message, "Wait for the next proof; if it lasts, look for a proxy in between")


def _allow(body: bytes) -> str:
    """The fix, with the right as ECR names it; nothing else of its message is passed on."""
    named = sorted({match.decode() for match in re.findall(rb"\becr(?:-public)?:[A-Z][A-Za-z]{2,60}\b", body)})
    rights = " and ".join(named or ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"])
    fix = f"Allow {rights} on the repository, in its policy or the role's"
    if any(right in _PULL_THROUGH for right in named):
        fix += f"; the first pull through a cache needs {_PULL_THROUGH}"
    return fix


def manifest_status(registry: Registry, credential: Credential, path: str) -> int:
    """The status of a registry's answer to a HEAD of a manifest: 200 if a pull could have it now. Raises Failed."""
    return _get(registry, credential, path, None, method="HEAD").status


def url_of(registry: Registry) -> str:
    """Where its tokens are tried."""
    return registry.registry_url or f"https://{registry.host}"


def _get(
    registry: Registry, credential: Credential, path: str, trust: Trust | None, method: str = "GET"
) -> urllib3.HTTPResponse:
    login = urllib3.make_headers(basic_auth=f"{credential.username}:{credential.secret.reveal()}")
    headers = {**login, "Host": registry.host, "Accept": _MANIFESTS}
    trust = trust or trust_for(registry.ca_file, aws=True)
    try:
        return http.send(method, url_of(registry).rstrip("/") + path, trust, LIMITS, headers=headers)
    except Failed as error:
        failure = error.failure
        raise Failed(failure.reason, f"{registry.host} could not be asked: {failure.message}", failure.fix) from None
