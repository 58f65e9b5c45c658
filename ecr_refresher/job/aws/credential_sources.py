"""Where botocore looks for credentials, and what it found there: the explanation for 'no credentials'."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")


def tried(environ: Mapping[str, str] = os.environ, profile: str | None = None) -> str:
    """List the sources in botocore's order, each with why it gave nothing, as far as can be seen from here."""
    return "; ".join(_sources(environ, profile))


def mend(environ: Mapping[str, str] = os.environ, files: tuple[str, ...] = _CONTAINER_FILES) -> str:
    """What to do about it. The classic in containers on EC2 is IMDSv2's hop limit: its answer dies on the bridge."""
    text = "give the instance, task or pod a role, or name a profile"
    if is_container(environ, files):
        text += "; in a container on EC2 the instance's metadata hop limit must be 2 (modify-instance-metadata-options)"
    return text


def is_container(environ: Mapping[str, str], files: tuple[str, ...] = _CONTAINER_FILES) -> bool:
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) or any(os.path.exists(file) for file in files)


def _sources(environ: Mapping[str, str], profile: str | None) -> Iterator[str]:
    named = profile or environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE")
    if profile is None:
        yield "environment (AWS_ACCESS_KEY_ID is not set)"
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and not environ.get("AWS_ROLE_ARN"):
        yield "web identity (AWS_ROLE_ARN is not set)"
    elif not environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        yield "web identity (AWS_WEB_IDENTITY_TOKEN_FILE is not set)"
    yield f"profile '{named or 'default'}' (no role, SSO login or keys in it)"
    if not any(environ.get(f"AWS_CONTAINER_CREDENTIALS_{kind}_URI") for kind in ("RELATIVE", "FULL")):
        yield "container role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set)"
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        yield "instance metadata (AWS_EC2_METADATA_DISABLED is set)"
    else:
        yield "instance metadata (no answer, or no role there)"
