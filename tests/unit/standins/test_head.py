"""The head of a request as http.server reads it, and as ours does."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.standins import head

names = st.text("abcXYZ-09", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f\x85\xa0"), max_size=20)


@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from(["", " ", "\t "]))
def test_headers_are_those_that_http_server_reads(pairs: list[tuple[str, str]], blank: str) -> None:
    text = "".join(f"{name}:{blank}{value}\r\n" for name, value in pairs).encode("latin-1") + b"\r\nbody"
    ours, theirs = head.headers(io.BufferedReader(io.BytesIO(text))), http.client.parse_headers(io.BytesIO(text))
    assert list(ours.items()) == theirs.items()
    for name, _ in pairs:
        assert ours.get(name.upper()) == theirs.get(name.upper())
        assert name.swapcase() in ours
    assert ours.get("no-such-header") is None
    assert ours.get("no-such-header", "else") == "else"


def test_what_stands_behind_the_head_is_left_to_read() -> None:
    stream = io.BufferedReader(io.BytesIO(b"A: b\r\n\r\nbody"))
    head.headers(stream)
    assert stream.read() == b"body"


@pytest.mark.parametrize(
    "text",
    [
        b"no header\r\n\r\n",
        b"A: b\r\n",
        b"A: " + b"x" * head.LINE_MAX + b"\r\n\r\n",
        b"A: b\r\n" * (head.LINES_MAX + 1) + b"\r\n",
    ],
)
def test_what_is_no_header_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a header"):
        head.headers(io.BufferedReader(io.BytesIO(text)))


def test_the_first_line() -> None:
    assert head.first_line(b"GET /v2/?a=b HTTP/1.1\r\n") == ("GET", "/v2/?a=b", "HTTP/1.1")
    for other in (b"GET /\r\n", b"GET / HTTP/2\r\n", b"\x16\x03\x01\r\n", b"\r\n"):
        with pytest.raises(ValueError):  # noqa: PT011 - of any kind
            head.first_line(other)
