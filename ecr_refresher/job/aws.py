"""botocore sessions and clients, and what their errors mean. Credentials come by botocore's whole chain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import boto3
import botocore.config
import botocore.exceptions as boto

from ..core.model import Failed, Reason
from ..core.plan import Principal
from .clock import AwsClock

CONNECT_S, READ_S = 3.05, 10.0

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}
_DENIED = {
    "AccessDenied": "the identity may not do this",
    "AccessDeniedException": "the identity may not do this",
    "UnrecognizedClientException": "AWS does not know the access key",
    "InvalidClientTokenId": "AWS does not know the access key",
    "ExpiredToken": "the AWS session has expired",
    "ExpiredTokenException": "the AWS session has expired",
    "SignatureDoesNotMatch": "the secret key is wrong, or the clock is",
    "InvalidSignatureException": "the secret key is wrong, or the clock is",
    "RequestExpired": "the clock of this machine is wrong",
}
NO_CREDENTIALS = (
    "no AWS credentials were found (environment, profile, web identity, container role and instance metadata were "
    "asked); give the instance, task or pod a role; in a container on EC2 the instance's metadata hop limit must be 2"
)


class Aws:
    """One session for all clients of a pass: a session costs 150 ms, a client on it 5 ms."""

    def __init__(self, clock: AwsClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # neither sessions nor the making of clients are thread-safe
        self._session: Any = None
        self._assumed: dict[tuple[str, str | None], dict[str, str]] = {}

    def client(self, service: str, region: str, keys: dict[str, str] | None = None) -> Any:
        # The schedule is the only retry layer: an SDK that retries by itself hides what happens, and waits too long.
        config = botocore.config.Config(
            retries={"total_max_attempts": 1}, connect_timeout=CONNECT_S, read_timeout=READ_S, max_pool_connections=4
        )
        with self._lock:
            if self._session is None:
                self._session = boto3.Session()
            return self._session.client(service, region_name=region, config=config, **(keys or {}))

    def client_for(self, principal: Principal, service: str) -> Any:
        """A client that acts as the principal. Raises Failed if its role can't be taken on."""
        if principal.role_arn is None:
            return self.client(service, principal.region)
        return self.client(service, principal.region, self._assume(principal))

    def _assume(self, principal: Principal) -> dict[str, str]:
        asked: dict[str, Any] = {"RoleArn": principal.role_arn, "RoleSessionName": "ecr-refresher"}
        if principal.external_id is not None:
            asked["ExternalId"] = principal.external_id
        sts = self.client("sts", principal.region)
        answer = self.call(f"taking on the role {principal.role_arn}", lambda: sts.assume_role(**asked))
        keys = answer["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }

    def call(self, doing: str, send: Callable[[], Any]) -> Any:
        """Send one request; note AWS's time by the answer. Raises Failed, with `doing` in its message."""
        sent = self._clock.boot()
        try:
            answer = send()
        except boto.ClientError as error:
            self._clock.observe(sent, _date(error.response))
            raise _refusal(doing, error) from None
        except (boto.NoCredentialsError, boto.PartialCredentialsError):
            raise Failed(Reason.MISSING, f"{doing}: {NO_CREDENTIALS}") from None
        except boto.BotoCoreError as error:
            raise _trouble(doing, error) from None
        except Exception as error:  # noqa: BLE001
            # botocore's parsers let plain errors out when an answer makes no sense (a date of the year 99999, say)
            raise Failed(Reason.INVALID, f"{doing}: the answer makes no sense ({type(error).__name__})") from None
        self._clock.observe(sent, _date(answer))
        return answer


def _date(answer: Any) -> str | None:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    date = headers.get("date")
    return date if isinstance(date, str) else None


def _refusal(doing: str, error: boto.ClientError) -> Failed:
    code = str(error.response.get("Error", {}).get("Code", ""))[:80]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return Failed(Reason.THROTTLED, f"{doing}: AWS asks for fewer requests ({code})")
    if code in _DENIED:
        return Failed(Reason.DENIED, f"{doing}: {_DENIED[code]} ({code}); {_mend(code, doing)}")
    if status >= 500:
        return Failed(Reason.TRANSIENT, f"{doing}: AWS answered {status} ({code})")
    return Failed(Reason.INVALID, f"{doing}: AWS answered {status} ({code or 'no code'})")


def _mend(code: str, doing: str) -> str:
    if code.startswith("AccessDenied"):
        return (
            "allow ecr:GetAuthorizationToken on *" if "token" in doing else "allow sts:AssumeRole, and trust it there"
        )
    if code.startswith("ExpiredToken"):
        return "renew the session, or use a role that renews itself"
    if "Signature" in code or code == "RequestExpired":
        return "compare the clock with AWS's (chronyc tracking), and the key"
    return "check the access key that botocore finds first (aws sts get-caller-identity)"


def _trouble(doing: str, error: boto.BotoCoreError) -> Failed:
    kind = type(error).__name__
    if isinstance(error, boto.SSLError):
        return Failed(Reason.INVALID, f"{doing}: TLS failed; give the CA in AWS_CA_BUNDLE if a proxy is in between")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return Failed(Reason.TRANSIENT, f"{doing}: the endpoint could not be reached ({kind})")
    if isinstance(error, boto.TokenRetrievalError | boto.SSOError):
        return Failed(Reason.DENIED, f"{doing}: the SSO login has expired ({kind}); run 'aws sso login'")
    if isinstance(
        error, boto.ParamValidationError | boto.ProfileNotFound | boto.ConfigNotFound | boto.DataNotFoundError
    ):
        return Failed(
            Reason.INVALID, f"{doing}: AWS's configuration is wrong ({kind}); see AWS_PROFILE, AWS_CONFIG_FILE"
        )
    if "ParserError" in kind:
        return Failed(Reason.INVALID, f"{doing}: the answer makes no sense ({kind})")
    return Failed(Reason.TRANSIENT, f"{doing}: {kind}")
