"""The base credentials of a profile, by botocore's whole chain.

Getting them may run a `credential_process` or ask a metadata service, so it takes a while or hangs.
"""

import os
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from ...core.model import Failed, Reason
from ..files.paths import locate
from ..net.trust import Trust, trust_for
from . import credential_errors
from .credential_errors import chain, whose

BEFORE_SEND = "before-send"
Sender = Callable[..., Any]
_FILES = {"config_file": "AWS_CONFIG_FILE", "credentials_file": "AWS_SHARED_CREDENTIALS_FILE"}
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


class Base:
    """The session of a profile, and how its calls are sent."""

    def __init__(self, profile: str | None, config: Config, sender: Callable[[Callable[[], Trust]], Sender]) -> None:
        """Open it, without its credentials yet. Raises Failed."""
        self.profile = profile
        self.core = core = botocore.session.Session(profile=profile)  # knows the profile's settings
        try:
            if os.geteuid() == 0:
                _refuse_others(core)
            # botocore's own calls, for a role of the profile or a web identity, keep to the same rules as ours.
            core.set_default_client_config(config)
            # The sender decides whom to trust; botocore refuses an empty bundle.
            core.set_config_variable("ca_bundle", True)
            # botocore reads AWS_DEFAULT_REGION only; ECS and EKS give AWS_REGION.
            if not core.get_config_variable("region") and os.environ.get("AWS_REGION"):
                core.set_config_variable("region", os.environ["AWS_REGION"].strip())
            self.ca_bundle: str | None = core.get_scoped_config().get("ca_bundle")
            self.session: Any = boto3.Session(botocore_session=core)
        except Exception as error:  # noqa: BLE001 - reading its files, botocore lets out what its parsers stumble over
            raise credential_errors.explain(error, core, profile, 0.0) from None
        self.sender = sender(lambda: trust_for(aws=True, profile_bundle=self.ca_bundle))
        self.session.events.register(BEFORE_SEND, self.sender)  # clients inherit it


def _refuse_others(core: Any) -> None:
    """Refuse, for root, AWS's files on a path that another user controls. Raises Failed.

    They may name a program to run, and models in ~/.aws/models another server. What is not there is not looked for.
    """
    for name, variable in _FILES.items():
        path = os.path.abspath(os.path.expanduser(os.path.expandvars(core.get_config_variable(name))))
        try:
            locate(path)
        except Failed as error:
            if os.path.isfile(path):
                what = f"{error.failure.message}, which may name a program for root to run"
                fix = f"Name root's own file in {variable}, set HOME to root's, or run as that user"
                fix += "; into a container, mount the file and not its directory"
                raise Failed(Reason.DENIED, what, fix) from None
            core.set_config_variable(name, os.devnull)
    try:
        locate(os.path.join(Loader.CUSTOMER_DATA_PATH, "any"))
    except Failed:
        core.get_component("data_loader").search_paths.remove(Loader.CUSTOMER_DATA_PATH)


def find(base: Base, skew_s: Callable[[], float]) -> str:
    """Get the credentials, which the session then keeps; return where from, in botocore's own word. Raises Failed."""
    _refuse_mfa(base.core, base.profile)
    try:
        found = base.session.get_credentials()
        frozen = found and found.get_frozen_credentials()
    except Exception as error:  # noqa: BLE001 - each source of credentials has errors of its own
        raise credential_errors.explain(error, base.core, base.profile, skew_s()) from None
    if found is None or frozen is None:
        raise credential_errors.none_found(base.profile)
    if not all(_is_clean(part or "") for part in (frozen.access_key, frozen.secret_key, frozen.token)):
        raise _unclean(base.profile, found.method)
    return str(found.method)


def _unclean(profile: str | None, method: str) -> Failed:
    """The failure of a key with a line end, say, which botocore passes on: it fails in the middle of a request."""
    blot = "a blank, a line end or another foreign character"
    for variable in _KEYS if method == "env" else ():
        if not _is_clean(os.environ.get(variable, "")):
            fix = f"Set {variable} without it; `printf %s` and `kubectl create secret` add no line end"
            return Failed(Reason.INVALID, f"{variable} holds {blot}", fix)
    message = f"the AWS credentials of {whose(profile)} hold {blot}"
    return Failed(Reason.INVALID, message, f"Correct what they come from ({method})")


def _is_clean(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _refuse_mfa(core: Any, name: str | None) -> None:
    """botocore asks for the code of an MFA device on the terminal."""
    if name is None and os.environ.get(_KEYS[0]):
        return  # the keys of the environment come first
    for profile, settings in chain(core, name):
        if settings.get("role_arn") and settings.get("mfa_serial"):
            message = f"the AWS profile '{profile}' has mfa_serial: its role asks a person for a code"
            fix = "Use a profile without mfa_serial, or one that holds keys of `aws sts get-session-token`"
            raise Failed(Reason.INVALID, message, fix)
