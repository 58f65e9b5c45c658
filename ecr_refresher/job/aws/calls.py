"""Calls of AWS services by name, whose refusals are answers: the caller knows what each code means to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions as boto

from ...core.model import Failed, Reason
from ...core.plan import Principal, Role
from .clients import Aws
from .errors import Doing


class AwsCalls:
    """Calls of one service as one role; thread-safe."""

    def __init__(self, aws: Callable[[], Aws], service: str, region: str, role_arn: str | None) -> None:
        self._aws = aws
        self._service = service
        roles = (Role(role_arn),) if role_arn else ()
        self._principal = Principal("ecr", region, roles)  # whose rights, and where

    def __call__(self, doing: str, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call: its answer, or the response of its error. Raises Failed where there is neither."""
        aws = self._aws()
        action = "".join(word.capitalize() for word in call.split("_"))
        client = aws.client(self._principal, self._service)

        def send() -> Any:
            try:
                return getattr(client, call)(**request)
            except boto.ClientError as error:
                return error.response

        answer = aws.call(Doing(doing, self._principal.region, f"{self._service}:{action}"), send)
        if not isinstance(answer, Mapping):
            fix = "Look for a proxy or a test endpoint in between"
            raise Failed(Reason.INVALID, f"{doing}: the answer makes no sense", fix)
        return answer
