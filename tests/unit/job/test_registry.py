"""The proof at the registry, over real sockets: only ECR's own refusal counts as one."""

from __future__ import annotations

import base64
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import urllib3

from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.core.plan import Principal, Registry
from ecr_refresher.job.blocking import failure_of
from ecr_refresher.job.net import proof as registry
from ecr_refresher.job.net.proof import Refused
from tests.testbed.certificates import CertificateAuthority

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PASSWORD = "the-password-of-the-proof"
CREDENTIAL = Credential("AWS", Secret(PASSWORD), 0.0, 43_200.0)
BASIC = {"WWW-Authenticate": 'Basic realm="https://123456789012.dkr.ecr.us-east-1.amazonaws.com/",service="ecr"'}


@dataclass
class Front:
    """A registry's front: answers as told, and keeps what it was asked."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def registry(self, **more: str) -> Registry:
        return Registry("own", HOST, Principal("ecr", "us-east-1"), **{"registry_url": self.url, **more})  # type: ignore[arg-type]


@pytest.fixture
def serve() -> Iterator[Callable[..., Front]]:
    """`serve(status, headers)`: a front on loopback; with a certificate, one that speaks TLS."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def begin(
        status: int = 200, headers: dict[str, str] | None = None, certificate: tuple[str, str] | None = None
    ) -> Front:
        front = Front(status, headers or {})

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                self.send_response(front.status)
                for name, value in front.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # handshakes that the client breaks off

        server = Quiet(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        front.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        return front

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def finding(of: Registry, tried: Callable[[Registry, Credential], None] = registry.prove) -> Failed:
    with pytest.raises(Failed) as caught:
        tried(of, CREDENTIAL)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_good_token_is_tried_at_v2_with_its_login_under_the_registry_s_own_name(serve: Callable[..., Front]) -> None:
    front = serve()
    registry.prove(front.registry(), CREDENTIAL)
    ((path, headers),) = front.asked
    assert (path, headers["host"]) == ("/v2/", HOST)
    assert headers["authorization"] == "Basic " + base64.b64encode(f"AWS:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize("scheme", ['Basic realm="x"', 'basic realm="x"', "BASIC x"])
def test_ecr_s_own_401_refuses_the_token(serve: Callable[..., Front], scheme: str) -> None:
    with pytest.raises(Refused):
        registry.prove(serve(401, {"WWW-Authenticate": scheme}).registry(), CREDENTIAL)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, {}),
        (401, {"WWW-Authenticate": 'Bearer realm="x"'}),
        (401, {"WWW-Authenticate": "Negotiate"}),
        (401, {"WWW-Authenticate": "Basically not"}),
        (403, BASIC),
        (407, {"Proxy-Authenticate": "Basic x"}),
        (400, {}),
        (404, BASIC),
        (302, {"Location": "https://login.corporate.example"}),
        (302, {"Location": "http://[::not-a-url"}),
        (307, {"Location": "\x01\x02"}),
        (403, {"Retry-After": "soon", "Date": "long ago"}),
        (500, {}),
        (503, BASIC),
    ],
)
def test_all_other_findings_are_warnings(serve: Callable[..., Front], status: int, headers: dict[str, str]) -> None:
    front = serve(status, headers)
    failed = finding(front.registry())
    assert failed.failure.reason is Reason.INVALID
    assert f"answered {status}" in str(failed)
    assert HOST in str(failed)
    assert len(front.asked) == 1  # no redirect is followed with a login, and nothing is tried again


def test_a_registry_that_can_t_be_reached_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    failed = finding(Front(url=url).registry())
    assert failed.failure.reason is Reason.TRANSIENT
    assert "could not be asked: no connection to 127.0.0.1" in str(failed)


def test_a_registry_that_does_not_answer_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "LIMITS", replace(registry.LIMITS, read_s=0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        failed = finding(Front(url=f"http://127.0.0.1:{silent.getsockname()[1]}").registry())
    assert failed.failure.reason is Reason.TRANSIENT


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://127.0.0.1:99999"])
def test_an_address_that_makes_no_sense_is_a_warning_as_well(url: str) -> None:
    with pytest.raises((Failed, ValueError)) as caught:
        registry.prove(Front(url=url).registry(), CREDENTIAL)
    assert failure_of(caught.value).reason is not None
    assert PASSWORD not in str(caught.value)


# --- TLS and proxies -------------------------------------------------------------------------------------------------
@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_tls_is_verified_and_the_error_names_the_mend(
    serve: Callable[..., Front], authority: CertificateAuthority
) -> None:
    failed = finding(serve(certificate=authority.issue("127.0.0.1")).registry())
    assert failed.failure.reason is Reason.INVALID
    assert "ca_file" in failed.failure.fix


def test_the_given_ca_is_believed(serve: Callable[..., Front], authority: CertificateAuthority) -> None:
    front = serve(certificate=authority.issue("127.0.0.1"))
    registry.prove(front.registry(ca_file=str(authority.ca_file)), CREDENTIAL)
    assert len(front.asked) == 1


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_s_ca_is_believed(
    serve: Callable[..., Front], authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.ca_file))
    registry.prove(serve(certificate=authority.issue("127.0.0.1")).registry(), CREDENTIAL)


def test_a_certificate_for_another_name_is_refused(
    serve: Callable[..., Front], authority: CertificateAuthority
) -> None:
    front = serve(certificate=authority.issue("registry.example.com"))
    assert "TLS with 127.0.0.1 failed" in str(finding(front.registry(ca_file=str(authority.ca_file))))
    assert front.asked == []


def test_a_ca_file_that_is_not_there_is_missing(serve: Callable[..., Front]) -> None:
    failed = finding(serve().registry(ca_file="/nowhere/ca.pem"))
    assert failed.failure.reason is Reason.MISSING
    assert "ca_file" in str(failed)


def test_the_environment_s_proxy_is_used_and_no_proxy_honoured(
    serve: Callable[..., Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, front = serve(), serve()
    monkeypatch.setenv("http_proxy", proxy.url)
    registry.prove(front.registry(registry_url="http://registry.invalid"), CREDENTIAL)
    assert [path for path, _ in proxy.asked] == ["http://registry.invalid/v2/"]
    monkeypatch.setenv("no_proxy", "registry.invalid")
    with pytest.raises(Failed):
        registry.prove(front.registry(registry_url="http://registry.invalid"), CREDENTIAL)
    registry.prove(front.registry(), CREDENTIAL)
    assert (len(proxy.asked), len(front.asked)) == (1, 1)


# --- the probe image -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("web_scraper:latest", "/v2/web_scraper/manifests/latest"),
        ("team/web_scraper:1.2", "/v2/team/web_scraper/manifests/1.2"),
        ("web_scraper", "/v2/web_scraper/manifests/latest"),
    ],
)
def test_the_probe_looks_for_the_manifest_of_its_image(serve: Callable[..., Front], image: str, path: str) -> None:
    front = serve()
    registry.probe(front.registry(probe_image=image), CREDENTIAL)
    assert [asked for asked, _ in front.asked] == [path]
    assert "application/vnd.oci.image.index.v1+json" in front.asked[0][1]["accept"]


@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        (401, Reason.DENIED, "Allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"),
        (403, Reason.DENIED, "may not be pulled"),
        (404, Reason.MISSING, "has no image web_scraper:latest. Correct probe_image, or push the image"),
        (500, Reason.TRANSIENT, "answered 500"),
    ],
)
def test_a_probe_says_what_is_missing(serve: Callable[..., Front], status: int, reason: Reason, says: str) -> None:
    failed = finding(serve(status, BASIC).registry(probe_image="web_scraper:latest"), registry.probe)
    assert failed.failure.reason is reason
    assert says in str(failed.failure)


def test_every_end_of_a_proof_has_a_failure_for_the_report() -> None:
    refused = failure_of(Refused())
    assert (refused.reason, refused.message) == (Reason.INVALID, "the registry refuses the new token (401)")
    denied = Failed(Reason.DENIED, "no")
    assert failure_of(denied) is denied.failure
    fault = failure_of(urllib3.exceptions.LocationParseError(PASSWORD))
    assert fault.reason is Reason.INTERNAL
    assert "LocationParseError" in fault.message
    assert PASSWORD not in str(fault)
