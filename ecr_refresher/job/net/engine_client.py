"""docker-py's client, within bounds: it follows no redirect, and reads no answer that is too large or never ends.

Imported when the first engine is asked: docker-py takes 10 MB.
"""

import io
import time
from typing import Any

from docker import APIClient
from docker.tls import TLSConfig
from requests import PreparedRequest, Response

from ...core.model import Failed, Reason
from . import http
from .proxies import proxy_for


class BoundedClient(APIClient):
    """A client of the engine at `url`. Raises Failed for an answer over `answer_max` bytes; events have no bound."""

    def __init__(self, url: str, answer_max: int, timeout_s: int, tls: TLSConfig | None) -> None:
        self._name, self._answer_max = f"the engine at {url}", answer_max
        super().__init__(base_url=url, version="auto", timeout=timeout_s, tls=tls or False)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send one request of docker-py's, which goes where the settings say and nowhere else."""
        proxy = proxy_for(request.url or "")
        proxies = {} if proxy is None else {"http": proxy, "https": proxy}
        response = super().send(request, **{**kwargs, "stream": True, "allow_redirects": False, "proxies": proxies})
        if response.is_redirect:
            response.close()
            raise Failed(Reason.INVALID, f"{self._name} redirects ({response.status_code})", "Give its final address")
        if not kwargs.get("stream"):
            limits = http.Limits(self.timeout, self.timeout, self.timeout, self._answer_max)
            response.raw = io.BytesIO(http.read(response.raw, limits, time.monotonic() + self.timeout, self._name))
        return response
