"""What AWS may answer instead of a good token: its errors, and tokens that are none."""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass

from .script import WireFault


class _Usual(enum.Enum):
    USUAL = "usual"


USUAL = _Usual.USUAL
"""A field as it would be without the fault."""


@dataclass(frozen=True, slots=True)
class AwsError:
    """An error in the form of the AWS JSON protocol: `code` goes into `__type`."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Throttled(AwsError):
    """Too many calls."""

    code: str = "ThrottlingException"
    message: str = "Rate exceeded"


@dataclass(frozen=True, slots=True)
class Denied(AwsError):
    """The principal may not."""

    code: str = "AccessDeniedException"
    message: str = "User is not authorized to perform: ecr:GetAuthorizationToken on resource: *"


@dataclass(frozen=True, slots=True)
class CredentialsExpired(AwsError):
    """The session token of the caller's own AWS credentials is over."""

    code: str = "ExpiredTokenException"
    message: str = "The security token included in the request is expired"


@dataclass(frozen=True, slots=True)
class UnknownKey(AwsError):
    """The access key does not exist (any more)."""

    code: str = "UnrecognizedClientException"
    message: str = "The security token included in the request is invalid."


@dataclass(frozen=True, slots=True)
class BadSignature(AwsError):
    """The secret key is wrong, or the caller's clock is off by more than five minutes."""

    code: str = "InvalidSignatureException"
    message: str = "The request signature we calculated does not match the signature you provided."


@dataclass(frozen=True, slots=True)
class ServerError(AwsError):
    """AWS's own trouble."""

    code: str = "ServerException"
    message: str = "Service Unavailable. Please try again later."
    status: int = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """A token of the right form but the wrong content; what is not given here is as usual.

    `token` stands in the answer as it is (see `encoded`), `expires_at` is what the answer *says*, in seconds since
    the epoch; both may be any JSON value, None for null. `life_s` is a life that the book agrees to. The fields named
    in `missing` are left out.
    """

    token: object = USUAL
    expires_at: object = USUAL
    life_s: float | None = None
    missing: tuple[str, ...] = ()


EcrFault = WireFault | AwsError | Answer


def encoded(text: str) -> str:
    """Give a decoded token its base64 form: `Answer(token=encoded("no colon"))`."""
    return base64.b64encode(text.encode()).decode()
