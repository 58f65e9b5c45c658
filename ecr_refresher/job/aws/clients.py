"""boto3's core: sessions and clients that act as a principal. Base credentials come by botocore's whole chain.

`boto3` itself, whose resources and S3 transfers nobody here needs, would cost each pass another 0.02 s and 3 MB.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import botocore
import botocore.config
import botocore.session
from botocore.credentials import Credentials
from botocore.utils import parse_timestamp

from ... import __version__, logs
from ...core import partitions
from ...core.model import Failed, Reason, Secret
from ...core.plan import Principal, Refresh, Role
from ...core.times import written
from . import errors as aws_errors
from . import models as aws_models
from .assumed_roles import AssumedRoles, Keys
from .clock import AwsClock
from .errors import Doing

CONNECT_S, READ_S = 3.05, 10.0
SESSION_NAME = "ecr-refresher"
# The schedule is the only retry layer: an SDK that retries by itself hides what happens, and waits too long.
_CALLS: dict[str, Any] = {
    "retries": {"total_max_attempts": 1},
    "connect_timeout": CONNECT_S,
    "read_timeout": READ_S,
    "max_pool_connections": 32,  # as many as fetch side by side
    # Ours to be found in CloudTrail by; and botocore's own is put together anew for each call, at a sixth of its cost.
    "user_agent": f"ecr-refresher/{__version__} Botocore/{botocore.__version__}",
}
# Whose keys sign the calls of this thread; None: the base credentials that the client was made with.
_acting: ContextVar[Keys | None] = ContextVar("_acting", default=None)


def _sign_as_acting(context: dict[str, Any], **_: Any) -> None:
    """Put the role's keys into a request: botocore's signer takes them before its client's (signers.py, `sign`)."""
    keys = _acting.get()
    if keys is not None:
        given = Credentials(keys.access_key, keys.secret_key.reveal(), keys.session_token.reveal())
        context.setdefault("signing", {})["request_credentials"] = given


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is called, where, and how; all that clients differ in."""

    service: str
    region: str
    url: str | None
    ca_file: str | None
    use_fips: bool | None
    use_dualstack: bool | None

    def options(self) -> dict[str, Any]:
        """As botocore's `Session.create_client` wants it."""
        config = botocore.config.Config(
            use_fips_endpoint=self.use_fips, use_dualstack_endpoint=self.use_dualstack, **_CALLS
        )
        return {"region_name": self.region, "endpoint_url": self.url, "verify": self.ca_file, "config": config}


def _moment(value: Any) -> datetime:
    """As botocore's own parser, whose way with text costs a tenth of a call: STS writes ISO 8601."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment
    return parse_timestamp(value)


class _Profile:
    """One session for all clients of a profile: a session costs 150 ms and 9 MB, a client on it 5 ms.

    A client serves every role that calls the same endpoint: a thousand roles need no thousand clients, and their
    calls share connections.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._lock = threading.Lock()  # neither sessions nor the making of clients are thread-safe
        self._session: Any = None
        self._clients: dict[Endpoint, Any] = {}

    def client(self, endpoint: Endpoint) -> Any:
        """The client for an endpoint. Raises botocore's errors."""
        with self._lock:
            if endpoint not in self._clients:
                self._clients[endpoint] = client = self._opened().create_client(endpoint.service, **endpoint.options())
                client.meta.events.register("before-call", _sign_as_acting)
            return self._clients[endpoint]

    def source(self) -> str | None:
        """How the session comes by its credentials, in botocore's own word; None: not. Raises botocore's errors."""
        with self._lock:
            found = self._opened().get_credentials()
        return None if found is None else str(found.method)

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _opened(self) -> Any:
        if self._session is None:
            session = botocore.session.Session(profile=self._name)
            aws_models.read_quickly(session.get_component("data_loader"))
            # For the calls that botocore makes by itself, of a profile's role or a web identity's.
            session.set_default_client_config(botocore.config.Config(**_CALLS))
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
            # botocore reads AWS_DEFAULT_REGION only; ECS and EKS give AWS_REGION.
            if not session.get_config_variable("region") and os.environ.get("AWS_REGION"):
                session.set_config_variable("region", os.environ["AWS_REGION"])
            self._session = session
        return self._session


class Aws:
    """Clients for principals, with what they share in one pass: sessions by profile, and keys of assumed roles."""

    def __init__(self, clock: AwsClock, rules: Refresh | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._profiles: dict[str | None, _Profile] = {}
        self._roles = AssumedRoles(clock.now)
        rules = rules or Refresh()
        self._pause = (
            f"the next try comes after a pause that grows from {written(rules.retry_first)} "
            f"to {written(rules.retry_max)} (refresh.retry_first, retry_max)"
        )

    @contextlib.contextmanager
    def client(self, principal: Principal, service: str) -> Iterator[Any]:
        """A client whose calls from this thread act as the principal. Raises Failed if a role can't be taken on."""
        url = principal.endpoint_url if service == principal.service else None
        ca_file = principal.ca_file if service == principal.service or principal.endpoint_url is None else None
        keys = self._keys(principal)
        with self._acting_as(keys, principal, service, principal.region, url, ca_file) as client:
            yield client

    def source(self, name: str | None) -> str | None:
        """How botocore comes by the base credentials of a profile, in its own word: `env`, `iam-role`…; None: not."""
        return self._profile(name).source()

    def _profile(self, name: str | None) -> _Profile:
        with self._lock:
            return self._profiles.setdefault(name, _Profile(name))

    def close(self) -> None:
        """Close all connections."""
        for profile in self._profiles.values():
            profile.close()

    def call(self, doing: Doing, send: Callable[[], Any]) -> Any:
        """Send one request; note AWS's time by the answer. Raises Failed, with what was being done in its message."""
        sent = self._clock.boot()
        try:
            answer = send()
        except Exception as error:  # noqa: BLE001 - botocore lets out whatever its parsers stumble over
            self._clock.observe(sent, _date(getattr(error, "response", None)))
            raise aws_errors.explain(doing, error, skew_s=self._clock.skew, pause=self._pause) from None
        self._clock.observe(sent, _date(answer))
        return answer

    @contextlib.contextmanager
    def _acting_as(
        self, keys: Keys | None, principal: Principal, service: str, region: str, url: str | None, ca_file: str | None
    ) -> Iterator[Any]:
        endpoint = Endpoint(service, region, url, _readable(ca_file), principal.use_fips, principal.use_dualstack)
        doing = Doing(f"finding credentials for {service} in {region}", region, "it", principal.profile)
        client = self.call(doing, lambda: self._profile(principal.profile).client(endpoint))
        before = _acting.set(keys)
        try:
            yield client
        finally:
            _acting.reset(before)

    def _keys(self, principal: Principal) -> Keys | None:
        """Keys at the end of the role chain; None without one. Each role has a lock of its own, and none is nested."""
        if not principal.roles:
            return None
        # Keys of a role are good in every region of the partition, so all its regions share them.
        partition = partitions.of_region(principal.region)
        ca_file = principal.ca_file if principal.endpoint_url is None else None
        way = (principal.profile, partition, principal.use_fips, principal.use_dualstack, ca_file)
        keys: Keys | None = None
        for number in range(1, len(principal.roles) + 1):
            chain, before = principal.roles[:number], keys
            keys = self._roles.get((*way, chain), lambda: self._take_on(principal, chain, before, ca_file))  # noqa: B023
        return keys

    def _take_on(self, principal: Principal, chain: tuple[Role, ...], before: Keys | None, ca_file: str | None) -> Keys:
        role = chain[-1]
        which = f" ({len(chain)} of {len(principal.roles)} in the chain)" if len(principal.roles) > 1 else ""
        asked = {"RoleArn": role.arn, "RoleSessionName": role.session_name or SESSION_NAME}
        by = f"the role {chain[-2].arn}" if before is not None else "the base identity"
        trust = "and its external id must be the one given here"
        if role.external_id is not None:
            asked["ExternalId"] = role.external_id
        else:
            trust = "and give external_id if it asks for one"
        region = self._sts_region(principal)
        doing = Doing(
            f"taking on the role {role.arn}{which}",
            region,
            f"sts:AssumeRole on it to {by}, which its trust policy must name; {trust}",
            principal.profile,
        )
        with self._acting_as(before, principal, "sts", region, None, ca_file) as sts:
            return _keys_from(self.call(doing, lambda: sts.assume_role(**asked)), doing)

    def _sts_region(self, principal: Principal) -> str:
        """The machine's own region where that will do: a role's keys are then the same for every region asked."""
        home = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        same = partitions.of_region(home) is not None and partitions.of_region(home) == partitions.of_region(
            principal.region
        )
        return home if same else principal.region


def _keys_from(answer: Any, doing: Doing) -> Keys:
    given = answer.get("Credentials")
    given = given if isinstance(given, dict) else {}
    key, secret, token = (given.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    expires = given.get("Expiration")
    if not (key and secret and token and isinstance(expires, datetime)):
        raise Failed(Reason.INVALID, f"{doing.what}: STS's answer holds no keys; is a proxy in between?")
    return Keys(key, logs.hide(Secret(secret)), logs.hide(Secret(token)), expires.timestamp())


def _readable(ca_file: str | None) -> str | None:
    if ca_file is not None and not os.access(ca_file, os.R_OK):
        raise Failed(Reason.MISSING, f"the CA file {ca_file} can't be read; correct ca_file, or mount it")
    return ca_file


def _date(answer: Any) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(answer, dict) else {}
    date = headers.get("date")
    return date if isinstance(date, str) else None
