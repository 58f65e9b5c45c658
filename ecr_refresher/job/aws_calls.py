"""Calls of AWS services by name, whose refusals are answers: the caller knows what each code means to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions as boto

from ..core.model import Failed, Reason
from ..core.plan import Principal
from .aws import Aws


class AwsCalls:
    """One client for one service and role, made when it is first needed; thread-safe."""

    def __init__(self, aws: Callable[[], Aws], service: str, region: str, role_arn: str | None) -> None:
        self._aws = aws
        self._service = service
        self._principal = Principal("ecr", region, role_arn)  # whose rights, and where
        self._client: Any = None
        self._lock = threading.Lock()

    def __call__(self, doing: str, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call: its answer, or the response of its error. Raises Failed where there is neither."""
        with self._lock:
            if self._client is None:
                self._client = self._aws().client_for(self._principal, self._service)

        def send() -> Any:
            try:
                return getattr(self._client, call)(**request)
            except boto.ClientError as error:
                return error.response

        answer = self._aws().call(doing, send)
        if not isinstance(answer, Mapping):
            raise Failed(Reason.INVALID, f"{doing}: the answer makes no sense")
        return answer
