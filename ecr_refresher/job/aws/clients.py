"""boto3 clients that act as a principal: its profile's credentials, then its chain of roles.

A client belongs to one principal and service. All of them send by `net.http`, from botocore's `before-send` event: so
AWS is asked through the same proxies and with the same trust as everything else, and an answer has a largest size.
"""

import functools
import io
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import botocore.exceptions as boto
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from msgspec import structs
from urllib3 import HTTPResponse

from ... import __version__, logs
from ...core import budgets
from ...core.ecr import partitions
from ...core.model import Failed, Reason, Secret
from ...core.plan import Principal, Role
from ..blocking import MadeOnce
from ..net import http
from ..net.trust import Trust, trust_for
from . import credential_errors, credentials, errors
from .clock import AwsClock
from .credentials import BEFORE_SEND, Base, Sender
from .errors import Doing

LIMITS = http.Limits(budgets.AWS_CONNECT_S, budgets.AWS_READ_S, budgets.AWS_ALL_S)
STORES = ("secretsmanager", "ssm", "mwaa")  # their answers hold whole connections
# The schedule is the only retry layer: an SDK that retries hides what happens, and waits too long.
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=LIMITS.connect_s,
    read_timeout=LIMITS.read_s,
    user_agent_extra=f"ecr-refresher/{__version__}",  # to find the calls in CloudTrail
)

Keys = dict[str, Secret]  # boto3's names for the temporary keys of a role; they outlive a pass
KEY_NAMES = {
    "aws_access_key_id": "AccessKeyId",
    "aws_secret_access_key": "SecretAccessKey",
    "aws_session_token": "SessionToken",
}


class Aws:
    """Calls of one pass, thread-safe. `ends_at` is the end of the pass on the boot clock.

    `few` are URLs of endpoints that serve some registries only: their `Date` says nothing of the time of all.
    """

    def __init__(self, clock: AwsClock, ends_at: float | None = None, few: Collection[str] = ()) -> None:
        self._few = few
        self._clock = clock
        self._ends_at = ends_at
        self._made_once = MadeOnce()  # sessions, where their credentials come from, and keys of roles
        self._making = threading.Lock()  # boto3 makes clients one at a time; nothing is sent meanwhile
        self._clients: dict[tuple[Principal, str], Any] = {}

    def call(
        self, doing: Doing, principal: Principal, service: str, name: str, *, refusals: bool = False, **request: Any
    ) -> Mapping[str, Any]:
        """Call an operation of a service by its boto3 name, as the principal; return its answer.

        With `refusals`, an error of AWS is an answer too: its response. Raises Failed, which says what was being done.
        """
        client = self._client(principal, service)
        try:
            answer: object = getattr(client, name)(**request)
        except Exception as error:  # noqa: BLE001 - botocore lets out whatever its parsers stumble over
            if refusals and isinstance(error, boto.ClientError):
                return error.response
            raise errors.explain(doing, error, skew_s=self._clock.skew) from None
        if not isinstance(answer, Mapping):
            raise errors.explain(doing, TypeError(type(answer).__name__), skew_s=self._clock.skew)
        return answer

    def endpoint(self, principal: Principal) -> str:
        """The URL that the principal's tokens are asked for at; needs no credentials. Raises Failed."""
        with self._making:
            client = self._made(principal, principal.service, dict.fromkeys(KEY_NAMES, Secret("nobody")))
        return str(client.generate_presigned_url("get_authorization_token")).partition("?")[0]

    def source(self, profile: str | None) -> str:
        """How botocore gets the credentials of a profile, in its own word: `env`, `iam-role`… Raises Failed.

        A source that hangs holds up the principals of its profile alone.
        """
        base, wait_s = self._base(profile), budgets.CREDENTIALS_S
        if self._ends_at is not None:
            wait_s = max(0.1, min(wait_s, self._ends_at - self._clock.boot() - budgets.CREDENTIALS_MARGIN_S))
        try:
            find = functools.partial(credentials.find, base, lambda: self._clock.skew)
            return self._made_once.get(("source", profile), find, wait_s)
        except TimeoutError:
            raise credential_errors.too_slow(base.core, profile, wait_s) from None

    def trust_of(self, profile: str | None, ca_file: str | None) -> Trust:
        """The trust of AWS's servers, registries among them, for a profile and the entry's `ca_file`. Raises Failed."""
        return trust_for(ca_file, aws=True, profile_bundle=self._base(profile).ca_bundle)

    def _base(self, profile: str | None) -> Base:
        return self._made_once.get(("session", profile), lambda: Base(profile, CONFIG, self._sender))

    def _client(self, principal: Principal, service: str) -> Any:
        self.source(principal.profile)
        keys = self._role_keys(principal)
        with self._making:
            client = self._clients.get((principal, service))
            if client is None:
                client = self._clients[principal, service] = self._made(principal, service, keys)
            if len(self._clients) > budgets.AWS_CLIENTS_MAX:  # the oldest has most likely fetched its token
                del self._clients[next(iter(self._clients))]
            return client

    def _made(self, principal: Principal, service: str, keys: Keys) -> Any:
        base = self._base(principal.profile)
        url = principal.endpoint_url if service == principal.service else None
        variables = "AWS_ENDPOINT_URL", f"AWS_ENDPOINT_URL_{service.replace('-', '_').upper()}"
        config = CONFIG
        if not (url or any(map(os.environ.get, variables))):  # botocore takes no endpoint beside FIPS or dual-stack
            kind = Config(use_fips_endpoint=principal.use_fips, use_dualstack_endpoint=principal.use_dualstack)
            config = config.merge(kind)
        shown = {name: key.reveal() for name, key in keys.items()}
        try:
            client = base.session.client(service, principal.region, endpoint_url=url, config=config, **shown)
        except Exception as error:  # noqa: BLE001 - as above
            doing = Doing(f"making a client for {service} in {principal.region}", principal.region)
            raise errors.explain(doing, error, skew_s=self._clock.skew) from None
        ca_file, is_of_few, is_store = _ca_file(principal, service), url in self._few, service in STORES
        if ca_file is not None or is_of_few or is_store:
            most = budgets.STORE_ANSWER_MAX if is_store else budgets.ANSWER_MAX
            tells_time = not (is_of_few or is_store)  # the clock is that of the tokens
            send = self._sender(lambda: self.trust_of(principal.profile, ca_file), most, tells_time=tells_time)
            client.meta.events.unregister(BEFORE_SEND, base.sender)
            client.meta.events.register(BEFORE_SEND, send)
        return client

    def _sender(
        self, trust: Callable[[], Trust], answer_max: int = budgets.ANSWER_MAX, *, tells_time: bool = True
    ) -> Sender:
        """A handler of `before-send`: sends the prepared request, and returns the answer for botocore to parse."""

        def send(request: Any, **_: Any) -> AWSResponse:
            sent = self._clock.boot()
            headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
            limits = replace(LIMITS, answer_max=answer_max)
            answer = http.send(request.method, request.url, trust(), limits, headers=headers, body=request.body)
            if tells_time:
                self._clock.observe(sent, answer.headers.get("date"))
            said: Any = answer.headers
            raw = HTTPResponse(io.BytesIO(answer.data), preload_content=False)
            return AWSResponse(request.url, answer.status, said, raw)

        return send

    def _role_keys(self, principal: Principal) -> Keys:
        """Keys of the last role of the chain, assumed with those of the roles before it; none without roles."""
        if not principal.roles:
            return {}
        *before, role = principal.roles
        caller = structs.replace(
            principal,
            service="ecr",
            region=_sts_region(principal),
            roles=tuple(before),
            endpoint_url=None,
            ca_file=_ca_file(principal, "sts"),
        )
        # Keys are good in every region of the partition, so all its regions share them.
        partition = partitions.of_region(caller.region)
        key = (structs.replace(caller, region=partition.id if partition else caller.region), role)
        return self._made_once.get(key, lambda: self._assume(caller, role))

    def _assume(self, caller: Principal, role: Role) -> Keys:
        asked: dict[str, Any] = {"RoleArn": role.arn, "RoleSessionName": role.session_name or "ecr-refresher"}
        if role.external_id is not None:
            asked["ExternalId"] = role.external_id
        doing = _assuming(caller, role)
        given = self.call(doing, caller, "sts", "assume_role", **asked).get("Credentials", {})
        if not all(given.get(name) for name in KEY_NAMES.values()):
            message = f"{doing.what}: the answer of STS holds no keys"
            raise Failed(Reason.INVALID, message, "Look for a proxy or a test endpoint in between")
        return {ours: logs.hide(Secret(given[theirs]), logs.SHORTEST_TOKEN) for ours, theirs in KEY_NAMES.items()}


def _ca_file(principal: Principal, service: str) -> str | None:
    """The CA of an endpoint of its own is for that endpoint alone."""
    elsewhere = principal.endpoint_url is not None and service != principal.service
    return None if elsewhere else principal.ca_file


def _assuming(caller: Principal, role: Role) -> Doing:
    number = len(caller.roles) + 1
    which = f" (number {number} of the chain)" if number > 1 else ""
    by = f"the role {caller.roles[-1].arn}" if caller.roles else "the base identity"
    external_id = "correct external_id if that policy asks for another"
    if role.external_id is None:
        external_id = "give external_id if that policy asks for one"
    allowed = f"to {by} in the trust policy of that role and in the caller's own policy; {external_id}"
    return Doing(f"assuming the role {role.arn}{which}", caller.region, "sts:AssumeRole", allowed)


def _sts_region(principal: Principal) -> str:
    """The machine's own region where it is of the same partition: then one call serves all regions of a role.

    FIPS endpoints exist in some regions only, so those keep their own.
    """
    home = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    partition = partitions.of_region(home)
    is_near = partition is not None and partition == partitions.of_region(principal.region)
    return home if is_near and not principal.use_fips else principal.region
