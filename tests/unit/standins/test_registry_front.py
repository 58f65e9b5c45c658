"""The registry's front: its judgement of logins, its faults, and the stream through it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.serving import PIECE, Exchange, Reply, StandIn
from tests.testbed.standins.tokens import TokenBook

from .conftest import Clock

BLOB = b"layer" * 400_000


class Upstream(StandIn):
    """A tiny registry: says what came in, sends a blob by length, by chunks or by half, and redirects uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.received = hashlib.sha256()

    def respond(self, exchange: Exchange) -> None:
        self.seen.append((exchange.command, exchange.path, {k.lower(): v for k, v in exchange.headers.items()}))
        for piece in exchange.pieces():
            self.received.update(piece)
        if exchange.path.endswith("/half"):
            exchange.send_half(Reply(200, BLOB))
        elif exchange.path.endswith("/chunked"):
            self._send_chunked(exchange)
        elif exchange.command in ("POST", "PATCH"):
            here = f"{self.url}/v2/web_scraper/blobs/uploads/1?_state=a%2Fb"
            exchange.send(Reply(202, headers={"Location": here, "Docker-Upload-UUID": "1"}))
        elif exchange.command == "PUT":
            exchange.send(Reply(201, headers={"Location": "/v2/web_scraper/blobs/sha256:1"}))
        elif exchange.command == "DELETE":
            exchange.send(Reply(204))
        else:
            exchange.send(Reply(200, BLOB, "application/octet-stream", {"Docker-Content-Digest": "sha256:1"}))

    def _send_chunked(self, exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Transfer-Encoding", "chunked")
        exchange.end_headers()
        for at in range(0, len(BLOB), 99_999):
            piece = BLOB[at : at + 99_999]
            exchange.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        exchange.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def front(kept: Callable[[StandIn], StandIn], book: TokenBook) -> RegistryFront:
    return cast("RegistryFront", kept(RegistryFront(book)))


@pytest.fixture
def upstream(kept: Callable[[StandIn], StandIn]) -> Upstream:
    return cast("Upstream", kept(Upstream()))


@pytest.fixture
def streaming(kept: Callable[[StandIn], StandIn], book: TokenBook, upstream: Upstream) -> RegistryFront:
    return cast("RegistryFront", kept(RegistryFront(book, upstream.url)))


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


@pytest.fixture
def ask(pool: urllib3.PoolManager, book: TokenBook) -> Callable[..., urllib3.BaseHTTPResponse]:
    """Ask a front with a fresh token, or with the login given."""

    def ask(
        front: RegistryFront, method: str = "GET", path: str = "/v2/", login: str | None = None, **more: Any
    ) -> urllib3.BaseHTTPResponse:
        headers = urllib3.make_headers(basic_auth=login or f"AWS:{book.issue().password}")
        return pool.request(method, front.url + path, headers=headers, redirect=False, **more)

    return ask


Ask = Callable[..., urllib3.BaseHTTPResponse]


def test_a_good_token_opens(front: RegistryFront, ask: Ask) -> None:
    answer = ask(front)
    assert (answer.status, answer.json()) == (200, {})
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    missing = ask(front, path="/v2/web_scraper/manifests/latest")
    assert (missing.status, missing.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic !", "Basic QVdTOndyb25n", "Basic /w=="])
def test_no_login_or_a_wrong_one_is_asked_for_a_basic_one(
    front: RegistryFront, pool: urllib3.PoolManager, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = pool.request("GET", f"{front.url}/v2/", headers=headers)
    assert answer.status == 401
    expected = f'Basic realm="https://127.0.0.1:{front.port}/",service="ecr.amazonaws.com"'
    assert answer.headers["WWW-Authenticate"] == expected
    assert front.logins[0].verdict == ("unknown" if authorization else "none")


def test_an_expired_token_is_denied(front: RegistryFront, ask: Ask, book: TokenBook, clock: Clock) -> None:
    token = book.issue()
    clock.now = token.expires_at
    answer = ask(front, login=f"AWS:{token.password}")
    assert answer.status == 403
    (error,) = answer.json()["errors"]
    assert error["code"] == "DENIED"
    assert "expired" in error["message"]
    assert "WWW-Authenticate" not in answer.headers


def test_every_login_is_on_record(front: RegistryFront, ask: Ask) -> None:
    ask(front)
    ask(front, path="/v2/a/tags/list?n=1", login="AWS:wrong")
    ask(front, path="/elsewhere")
    assert [(login.path, login.verdict) for login in front.logins] == [("/v2/", "ok"), ("/v2/a/tags/list", "unknown")]


def test_refusing_and_blocking_can_be_told_apart_and_healed(front: RegistryFront, ask: Ask) -> None:
    front.refuse()
    refused = ask(front)
    assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    front.proxy403()
    blocked = ask(front)
    assert (blocked.status, blocked.headers["Content-Type"]) == (403, "text/html")
    assert "WWW-Authenticate" not in blocked.headers
    front.heal()
    assert ask(front).status == 200


def test_tls_is_spoken_with_the_given_certificate(book: TokenBook, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with (
        RegistryFront(book, tls=authority.issue("127.0.0.1")) as front,
        urllib3.PoolManager(retries=False, ca_certs=str(authority.ca_file)) as trusting,
        urllib3.PoolManager(retries=False) as strange,
    ):
        assert front.url.startswith("https://")
        assert trusting.request("GET", f"{front.url}/v2/").status == 401
        with pytest.raises(urllib3.exceptions.SSLError):
            strange.request("GET", f"{front.url}/v2/")
    assert front.crashes == []


@pytest.mark.parametrize("path", ["/v2/web_scraper/blobs/1", "/v2/web_scraper/chunked"])
def test_a_blob_comes_through_whole(streaming: RegistryFront, ask: Ask, path: str) -> None:
    assert ask(streaming, path=path).data == BLOB


def test_headers_come_through_and_the_login_stays_at_the_front(
    streaming: RegistryFront, upstream: Upstream, ask: Ask
) -> None:
    answer = ask(streaming, path="/v2/web_scraper/blobs/1?x=%2F")
    assert answer.headers["Docker-Content-Digest"] == "sha256:1"
    ((method, path, headers),) = upstream.seen
    assert (method, path) == ("GET", "/v2/web_scraper/blobs/1?x=%2F")
    assert "authorization" not in headers
    assert headers["host"] == f"127.0.0.1:{streaming.port}"
    assert headers["x-forwarded-proto"] == "http"


def test_head_says_the_length_without_a_body(streaming: RegistryFront, ask: Ask) -> None:
    for _ in range(2):  # twice on one connection: the first must have left nothing behind
        answer = ask(streaming, "HEAD", "/v2/web_scraper/blobs/1")
        assert (answer.headers["Content-Length"], answer.data) == (str(len(BLOB)), b"")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_goes_through_whole(streaming: RegistryFront, upstream: Upstream, ask: Ask, chunked: bool) -> None:
    pieces = [BLOB[at : at + 77_777] for at in range(0, len(BLOB), 77_777)]
    body = iter(pieces) if chunked else BLOB
    answer = ask(streaming, "PATCH", "/v2/web_scraper/blobs/uploads/1", body=body, chunked=chunked)
    assert answer.status == 202
    assert upstream.received.hexdigest() == hashlib.sha256(BLOB).hexdigest()
    assert ("transfer-encoding" in upstream.seen[0][2]) is chunked


def test_where_to_upload_next_is_an_address_of_the_front(streaming: RegistryFront, ask: Ask) -> None:
    begun = ask(streaming, "POST", "/v2/web_scraper/blobs/uploads/", body=b"")
    assert begun.headers["Location"] == f"{streaming.url}/v2/web_scraper/blobs/uploads/1?_state=a%2Fb"
    ended = ask(streaming, "PUT", "/v2/web_scraper/blobs/uploads/1", body=b"")
    assert ended.headers["Location"] == "/v2/web_scraper/blobs/sha256:1"


def test_an_answer_without_a_body_keeps_the_connection(
    streaming: RegistryFront, ask: Ask, pool: urllib3.PoolManager
) -> None:
    for _ in range(2):
        assert ask(streaming, "DELETE", "/v2/web_scraper/manifests/1").status == 204
    assert pool.connection_from_url(streaming.url).num_connections == 1


def test_half_a_blob_never_passes_for_a_whole_one(streaming: RegistryFront, ask: Ask) -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(streaming, path="/v2/web_scraper/half")


def test_an_upstream_that_is_gone_is_a_502(streaming: RegistryFront, upstream: Upstream, ask: Ask) -> None:
    upstream.stop()
    answer = ask(streaming)
    assert (answer.status, answer.json()["errors"][0]["code"]) == (502, "UNAVAILABLE")
    upstream.start()
    assert ask(streaming).status == 200


def test_a_refused_upload_does_not_reach_the_upstream(streaming: RegistryFront, upstream: Upstream, ask: Ask) -> None:
    refused = ask(streaming, "PATCH", "/v2/x/blobs/uploads/1", login="AWS:wrong", body=b"x" * (3 * PIECE))
    assert refused.status == 401
    assert upstream.seen == []
