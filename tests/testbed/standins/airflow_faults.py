"""What Airflow, or what stands before it, may answer instead of the right thing."""

from __future__ import annotations

from dataclasses import dataclass

from .script import Malformed, WireFault

LOGIN_PAGE = Malformed(
    b"<!doctype html><html><head><title>Sign in</title></head><body><form method=post></form></body></html>\n",
    content_type="text/html; charset=utf-8",
)
"""What a single sign-on before Airflow answers instead of the API: 200 and a page."""


@dataclass(frozen=True, slots=True)
class Unprocessable:
    """A 422 to whatever is asked, echoing the whole body, its password included."""


AirflowFault = WireFault | Unprocessable
