"""HTTP/1 as far as a probe or a scrape speaks it: the head of a request in, an answer out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .pages import Answer

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `keep` tells that another request may follow on the same connection."""

    method: str
    target: str
    accept: str
    keep: bool


def read(head: bytes) -> Request | None:
    """Read the lines of a head, the empty one behind them left out; None where they are no HTTP/1."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers  # it is not read
    keep = words[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close" and not has_body
    return Request(words[0], words[1], headers.get("accept", ""), keep)


def write(answer: Answer, *, keep: bool, body: bool) -> bytes:
    """An answer as it is sent; without its body for a HEAD."""
    head = [
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (answer.body if body else b"")
