"""The route leg: it takes the very proxy and trust of a pass, and is content with any answer."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.core.plan import Airflow, Plan
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.doctor.checkup import Checkup
from ecr_refresher.job.doctor.legs import routes
from ecr_refresher.job.net.http import Limits
from ecr_refresher.job.net.trust import Trust, trust_for
from ecr_refresher.job.refresh.tools import RealTools
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.serving import Exchange, Reply, StandIn


class Page(StandIn):
    def respond(self, exchange: Exchange) -> None:
        exchange.send(Reply(503))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if re.search("_PROXY$|_CA_BUNDLE$|^SSL_CERT", name.upper())]:
        monkeypatch.delenv(name)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_any_answer_shows_that_the_server_is_reached() -> None:
    with Page() as page:
        (finding,) = routes.travel(page.url, Trust())
    assert finding.text == "directly; no TLS"


def test_a_server_that_is_slow_to_answer_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LIMITS", Limits(4.0, 0.1, 4.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (finding,) = routes.travel(f"http://127.0.0.1:{silent.getsockname()[1]}", Trust())
    assert finding.text == "directly; no TLS"


def test_the_trust_is_tried_and_told(authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    with Page(tls=authority.issue("127.0.0.1")) as page:
        (finding,) = routes.travel(page.url, trust_for(str(authority.ca_file)))
        assert finding.text == f"directly; trusting {authority.ca_file} (ca_file)"
        with pytest.raises(Failed, match=r"trusted are the system's CAs") as failed:
            routes.travel(page.url, trust_for())
        assert failed.value.failure.reason is Reason.INVALID
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
        (finding,) = routes.travel(page.url, trust_for())
    assert finding.text == f"directly; trusting {authority.ca_file} (REQUESTS_CA_BUNDLE)"


def test_the_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Page() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", "://bob:s3cr3t@"))
        (finding,) = routes.travel("http://airflow.example.com", Trust())
    assert finding.text == f"through the proxy {proxy.url}; no TLS"


@pytest.fixture
def strict(authority: CertificateAuthority) -> Iterator[str]:
    """A server that wants a certificate of its clients: its URL. Whoever shows one is answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    context.load_verify_locations(str(authority.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                    with client, context.wrap_socket(client, server_side=True) as secured:
                        secured.recv(4096)
                        secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_airflow_s_client_certificate_is_shown(authority: CertificateAuthority, strict: str) -> None:
    certificate, key = authority.issue("client.example.com")

    def act(cert: str, its_key: str) -> str:
        ca_file = str(authority.ca_file)
        airflow = Airflow("default", strict, (), ca_file=ca_file, client_cert=cert, client_key=its_key)
        plan = Plan((), airflows=(airflow,))
        (leg,) = routes.legs(Checkup(plan, RealTools(plan, AwsClock(), lambda _: None)))
        (finding,) = leg.act()
        return finding.text

    assert act(certificate, key).startswith("directly; trusting")
    with pytest.raises(Failed, match="client certificate /nowhere"):
        act("/nowhere", key)
    with pytest.raises(Failed, match="can't be used with its key"):
        act(str(authority.ca_file), key)
