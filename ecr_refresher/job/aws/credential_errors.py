"""Why a profile has no credentials: each of botocore's sources fails in its own way.

Nothing that a source prints or answers is passed on, since it may hold keys.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as boto

from ... import logs
from ...core.model import Failed, Reason
from ...core.printable import printable
from . import errors


def explain(error: Exception, core: Any, name: str | None, skew_s: float) -> Failed:
    """Return the failure for any exception that botocore lets out while it looks for the profile's credentials."""
    match error:
        case Failed():
            return error
        case boto.ClientError():
            return errors.explain(_inner_call(error, name), error, skew_s=skew_s)
        case boto.TokenRetrievalError() | boto.SSOError() | boto.LoginError():
            login = "aws login" if isinstance(error, boto.LoginError) else "aws sso login"
            message = f"the login of {whose(name)} has expired ({type(error).__name__})"
            return Failed(Reason.DENIED, message, f"Run `{login}{f' --profile {name}' if name else ''}`")
        case boto.CredentialRetrievalError() if error.kwargs.get("provider") == "container-role":
            return _container_failed(str(error.kwargs.get("error_msg", "")))
        case OSError() if error.filename:
            return _file_unreadable(error, core, name)
    if (misconfigured := _misconfigured(error, name)) is not None:
        return misconfigured
    is_ours = isinstance(error, boto.BotoCoreError) and not isinstance(error, boto.CredentialRetrievalError)
    if not is_ours and (process := _with(core, name, "credential_process")) is not None:
        what = f"the credential_process of {whose(process)} failed, or printed no credentials"
        return Failed(Reason.TRANSIENT, what, "Run that command by hand; its output is not shown here")
    if isinstance(error, boto.CredentialRetrievalError | boto.MetadataRetrievalError):
        source = re.sub(r"[^\w -]", "", str(error.kwargs.get("provider", "the metadata service")))[:60]
        message = f"{source} gave no AWS credentials ({type(error).__name__})"
        return Failed(Reason.TRANSIENT, message, "See what that source says when you ask it by hand")
    return errors.explain(errors.Doing(f"looking for the AWS credentials of {whose(name)}", ""), error, skew_s=skew_s)


def _misconfigured(error: Exception, name: str | None) -> Failed | None:
    """The failure for a variable or profile that is wrong, which it names; None if it is something else."""
    match error:
        case boto.PartialCredentialsError():
            message = f"{whose(name)} holds only a part of an access key"
            return Failed(Reason.MISSING, message, "Give both the key id and the secret")
        case boto.ProfileNotFound():
            variable = "AWS_DEFAULT_PROFILE" if "AWS_DEFAULT_PROFILE" in os.environ else "AWS_PROFILE"
            if not (profile := str(error.kwargs.get("profile", ""))):
                return Failed(Reason.INVALID, f"{variable} is empty", f"Unset {variable}, or name a profile")
            message = f"there is no AWS profile {_quoted(profile)}"
            return Failed(Reason.MISSING, message, "Correct the profile's name, or AWS_CONFIG_FILE")
        case boto.InvalidRegionError():
            return Failed(Reason.INVALID, "AWS_REGION or AWS_DEFAULT_REGION is not a region", "Write e.g. us-east-1")
        case boto.InvalidConfigError() if os.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") and not os.getenv("AWS_ROLE_ARN"):
            state = "empty" if "AWS_ROLE_ARN" in os.environ else "not set"
            message = f"AWS_ROLE_ARN is {state}, and AWS_WEB_IDENTITY_TOKEN_FILE is set"
            return Failed(Reason.INVALID, message, "Set AWS_ROLE_ARN to the role of the web identity")
        case ValueError() if "Auth token value" in str(error):
            message = "the token for the container's credentials holds a line end"
            return Failed(Reason.INVALID, message, "Correct AWS_CONTAINER_AUTHORIZATION_TOKEN or its _FILE")
        case ValueError() if "Unsupported host" in str(error):
            message = "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host that botocore does not ask without TLS"
            return Failed(Reason.INVALID, message, "Name https, loopback or the agent's address there")
    return None


def too_slow(core: Any, name: str | None, waited_s: float) -> Failed:
    """The failure of credentials that did not come in time."""
    what = f"looking for the AWS credentials of {whose(name)} took more than {waited_s:.0f} s"
    fix = "See what the metadata service or the proxy of this machine does"
    if (process := _with(core, name, "credential_process")) is not None:
        what = f"the credential_process of {whose(process)} did not end within {waited_s:.0f} s"
        fix = "Run that command by hand and see what it waits for, or raise refresh.deadline"
    return Failed(Reason.TRANSIENT, what, fix)


def _inner_call(error: boto.ClientError, name: str | None) -> errors.Doing:
    """What botocore called by itself."""
    if error.operation_name == "AssumeRoleWithWebIdentity":
        return errors.Doing("assuming the role of the web identity (AWS_ROLE_ARN)", "", "sts:AssumeRoleWithWebIdentity")
    if error.operation_name == "AssumeRole":
        what = f"assuming the role of {whose(name or 'default')}"
        return errors.Doing(what, "", "sts:AssumeRole", "to the caller in the trust policy of that role")
    return errors.Doing(f"getting the AWS credentials of {whose(name)}", "", f"{error.operation_name}")


def _container_failed(said: str) -> Failed:
    """ECS's or EKS's endpoint for containers. Its text is not shown, only its status."""
    url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2")
    status = re.search(r"non 200 response (\d{3})", said)
    what = f"answered {status[1]}" if status else "did not answer" if "Unable to parse" not in said else "sent no JSON"
    if os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        who = "the EKS Pod Identity agent"
        fix = "Check that the agent runs on this node, and that the service account has a Pod Identity association"
    else:
        who, fix = "the credentials endpoint of the container", "Check the task role, and the log of the ECS agent"
    return Failed(Reason.TRANSIENT, f"{who} at {urlsplit(url).netloc.rpartition('@')[2]} {what}", fix)


def _file_unreadable(error: OSError, core: Any, name: str | None) -> Failed:
    """A token file of a web or pod identity, or the program of a credential_process."""
    why = (error.strerror or "unknown error").lower()
    for variable in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        if os.environ.get(variable) == error.filename:
            message = f"the file {error.filename}, named by {variable}, can't be read: {why}"
            return Failed(Reason.MISSING, message, f"Mount the file, or correct {variable}")
    if (process := _with(core, name, "credential_process")) is not None:
        message = f"the credential_process of {whose(process)} can't be run: {error.filename}: {why}"
        return Failed(Reason.MISSING, message, "Install that program, or correct credential_process")
    message = f"the file {error.filename}, which the AWS configuration names, can't be read: {why}"
    return Failed(Reason.MISSING, message, "Mount the file, or correct the configuration")


def none_found(name: str | None, environ: Mapping[str, str] = os.environ) -> Failed:
    """The failure of a chain that came to its end. In a container on EC2, a hop limit of 1 lets no answer through."""
    profile = f"the profile {_quoted(name or environ.get('AWS_PROFILE') or 'default')}"
    where = [profile, "web identity", "the container's role", "the instance's metadata"]
    if name is None:
        where.insert(0, "the environment (AWS_ACCESS_KEY_ID)")
    fix = "Give the instance, task or pod a role, or name a profile"
    if environ.get("KUBERNETES_SERVICE_HOST") or any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))):
        fix += "; in a container on EC2 the instance's metadata hop limit must be 2 (modify-instance-metadata-options)"
    disabled = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    message = f"no AWS credentials were found in {', '.join(where)}{' (AWS_EC2_METADATA_DISABLED is set)' * disabled}"
    return Failed(Reason.MISSING, message, fix)


def whose(name: str | None) -> str:
    return f"the AWS profile {_quoted(name)}" if name else "the base identity"


def _quoted(name: str) -> str:
    """The name of a profile; not where it may be a key in the wrong place."""
    fit = not logs.is_key(name) and all(map(logs.is_fit_to_show, filter(None, re.split(r"\W+", name))))
    return f"'{printable(name)}'" if fit else "whose name looks like a secret"


def chain(core: Any, name: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The profile and those that its role is assumed with, each with its settings."""
    profiles = core.full_config.get("profiles", {})
    current: Any = name or core.get_config_variable("profile") or "default"
    seen: set[str] = set()
    while current in profiles and current not in seen:
        seen.add(current)
        yield current, profiles[current]
        current = profiles[current].get("source_profile") if profiles[current].get("role_arn") else None


def _with(core: Any, name: str | None, setting: str) -> str | None:
    """The profile of the chain that has this setting."""
    try:
        return next((profile for profile, settings in chain(core, name) if settings.get(setting)), None)
    except boto.BotoCoreError:
        return None
