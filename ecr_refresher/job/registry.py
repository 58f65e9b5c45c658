"""Proof at the registry: would a pull with this token pass? Only ECR's own refusal counts as one."""

from __future__ import annotations

import os
import ssl

import urllib3

from ..core.model import Credential, Failed, Failure, Reason
from ..core.plan import Registry
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


class Refused(Exception):
    """The registry itself says that the token is not good: 401 with ECR's `WWW-Authenticate: Basic`."""


def prove(registry: Registry, credential: Credential) -> None:
    """Try the token with `GET /v2/`.

    Raises Refused, or Failed for every other finding: those are warnings, since a proxy's 403 must never cause the
    outage that it was meant to foresee.
    """
    status, headers = _get(registry, credential, "/v2/")
    if status == 401 and headers.get("www-authenticate", "").lower().startswith("basic "):
        raise Refused
    if status != 200:
        raise Failed(
            Reason.INVALID, f"{registry.host} answered {status} to the proof of a new token; a proxy in between?"
        )


def probe(registry: Registry, credential: Credential) -> None:
    """Look whether `probe_image` could be pulled. Raises Failed with what is missing; it is a warning."""
    repository, _, tag = (registry.probe_image or "").partition(":")
    status, _ = _get(registry, credential, f"/v2/{repository}/manifests/{tag or 'latest'}")
    if status in (401, 403):
        mend = "allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository, in its policy or the role's"
        raise Failed(Reason.DENIED, f"{registry.probe_image} may not be pulled from {registry.host} ({status}); {mend}")
    if status == 404:
        raise Failed(
            Reason.MISSING, f"{registry.host} has no image {registry.probe_image}; correct probe_image or push it"
        )
    if status != 200:
        raise Failed(Reason.TRANSIENT, f"{registry.host} answered {status} to the look for {registry.probe_image}")


def as_failure(error: Exception) -> Failure:
    """What a proof's exception comes to in a report line."""
    if isinstance(error, Refused):
        return Failure(Reason.INVALID, "the registry refuses the new token (401)")
    if isinstance(error, Failed):
        return error.failure
    return Failure(Reason.INTERNAL, f"the proof failed ({type(error).__name__})")


def _get(registry: Registry, credential: Credential, path: str) -> tuple[int, dict[str, str]]:
    base = registry.registry_url or f"https://{registry.host}"
    login = urllib3.make_headers(basic_auth=f"{credential.username}:{credential.secret.reveal()}")
    timeout = urllib3.Timeout(total=PROOF_S)
    try:
        with _pool(base, registry.ca_file) as pool:
            answer = pool.request(
                "GET",
                base.rstrip("/") + path,
                headers={**login, "Host": registry.host, "Accept": _MANIFESTS},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            status, headers = answer.status, {name.lower(): value for name, value in answer.headers.items()}
            answer.close()
            return status, headers
    except urllib3.exceptions.SSLError:
        raise Failed(
            Reason.INVALID, f"{registry.host}: TLS failed; give its CA as ca_file, or in SSL_CERT_FILE"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise Failed(Reason.TRANSIENT, f"{registry.host} could not be reached ({type(error).__name__})") from None
    except OSError as error:
        raise Failed(Reason.TRANSIENT, f"{registry.host} could not be reached ({error.strerror})") from None


def _pool(base: str, ca_file: str | None) -> urllib3.PoolManager:
    """A pool that goes by the environment's proxy where it names one for this host."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
        if bundle and ca_file is None:  # a company's CA that botocore was given is meant for this as well
            context.load_verify_locations(cafile=bundle)
    except OSError:
        raise Failed(Reason.MISSING, "the CA file can't be read; correct ca_file, or AWS_CA_BUNDLE") from None
    return pool_for(base, context)
