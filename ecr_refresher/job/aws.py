"""botocore sessions and clients that act as a principal. Base credentials come by botocore's whole chain."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import botocore.config
import botocore.session

from .. import logs
from ..core import partitions
from ..core.model import Failed, Reason, Secret
from ..core.plan import Principal, Refresh, Role
from . import aws_errors
from .assumed_roles import AssumedRoles, Keys
from .aws_errors import Doing
from .clock import AwsClock
from .settings.values import written

CONNECT_S, READ_S = 3.05, 10.0
SESSION_NAME = "ecr-refresher"
# The schedule is the only retry layer: an SDK that retries by itself hides what happens, and waits too long.
_CALLS: dict[str, Any] = {
    "retries": {"total_max_attempts": 1},
    "connect_timeout": CONNECT_S,
    "read_timeout": READ_S,
    "max_pool_connections": 4,
}


class _Profile:
    """One session for all clients of a profile: a session costs 150 ms and 9 MB, a client on it 5 ms."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.lock = threading.Lock()  # neither sessions nor the making of clients are thread-safe
        self._session: Any = None

    def session(self) -> Any:
        """The session; to be used under the lock. Raises botocore's errors."""
        if self._session is None:
            session = botocore.session.Session(profile=self.name)
            # For the calls that botocore makes by itself, of a profile's role or a web identity's.
            session.set_default_client_config(botocore.config.Config(**_CALLS))
            # botocore reads AWS_DEFAULT_REGION only; ECS and EKS give AWS_REGION.
            if not session.get_config_variable("region") and os.environ.get("AWS_REGION"):
                session.set_config_variable("region", os.environ["AWS_REGION"])
            self._session = boto3.Session(botocore_session=session)
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
        """A client that acts as the principal; closed at the end. Raises Failed if a role can't be taken on."""
        endpoint = principal.endpoint_url if service == principal.service else None
        ca_file = principal.ca_file if service == principal.service or principal.endpoint_url is None else None
        keys = self._keys(principal)
        with self._made(principal, service, principal.region, keys, endpoint, ca_file) as client:
            yield client

    def source(self, name: str | None) -> str | None:
        """How botocore comes by the base credentials of a profile, in its own word: `env`, `iam-role`…; None: not."""
        with self._lock:
            profile = self._profiles.setdefault(name, _Profile(name))
        with profile.lock:
            found = profile.session().get_credentials()
        return None if found is None else str(found.method)

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
    def _made(
        self, principal: Principal, service: str, region: str, keys: Keys | None, url: str | None, ca_file: str | None
    ) -> Iterator[Any]:
        options: dict[str, Any] = {"region_name": region, "endpoint_url": url, "verify": _readable(ca_file)}
        if keys is not None:
            options["aws_access_key_id"] = keys.access_key
            options["aws_secret_access_key"] = keys.secret_key.reveal()
            options["aws_session_token"] = keys.session_token.reveal()
        options["config"] = botocore.config.Config(
            use_fips_endpoint=principal.use_fips, use_dualstack_endpoint=principal.use_dualstack, **_CALLS
        )
        doing = Doing(f"finding credentials for {service} in {region}", region, "it", principal.profile)
        with self._lock:
            profile = self._profiles.setdefault(principal.profile, _Profile(principal.profile))

        def make() -> Any:
            with profile.lock:
                return profile.session().client(service, **options)

        client = self.call(doing, make)
        with contextlib.closing(client):
            yield client

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
        with self._made(principal, "sts", region, before, None, ca_file) as sts:
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
