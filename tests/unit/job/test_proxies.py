"""Proxies: metadata never goes through one, and a login in a proxy's URL is sent to it."""

from __future__ import annotations

import base64
import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from urllib.request import proxy_bypass

import pytest
import urllib3
from botocore.utils import get_environ_proxies

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.job.net.http import Limits, send
from ecr_refresher.job.net.proxies import METADATA, keep_metadata_direct, pool_for, proxy_for
from ecr_refresher.job.net.trust import Trust
from tests.testbed.processes import free_port

LIMITS = Limits(5.0, 5.0, 5.0)
ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]")


@contextlib.contextmanager
def refusing(status: int) -> Iterator[str]:
    """A proxy that answers every CONNECT with this status: its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)


@pytest.mark.parametrize(("name", "value"), [("NO_PROXY", ""), ("NO_PROXY", "a.example"), ("no_proxy", "a.example")])
def test_metadata_is_kept_from_the_proxy_and_all_else_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv(name, value)
    keep_metadata_direct()
    keep_metadata_direct()  # again changes nothing
    for address in ADDRESSES:
        assert get_environ_proxies(f"http://{address}/latest/api/token") == {}
    assert get_environ_proxies("http://b.example/")["http"] == "http://proxy.example:3128"
    assert bool(proxy_bypass("a.example")) is bool(value)


def test_a_star_stays_alone() -> None:
    environ = {"NO_PROXY": "*"}
    keep_metadata_direct(environ)
    assert environ == {"NO_PROXY": "*"}


def test_an_own_metadata_service_is_kept_from_the_proxy_too() -> None:
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1338/"}
    keep_metadata_direct(environ)
    assert environ["NO_PROXY"].split(",") == [*METADATA, "127.0.0.1:1338"]


@pytest.mark.parametrize("proxy", ["http://bob:p%40ss@proxy.example:3128", "bob:p%40ss@proxy.example:3128"])
def test_a_login_of_the_proxy_goes_to_the_proxy_alone(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    pool = pool_for("https://a.example", ssl.create_default_context())
    assert isinstance(pool, urllib3.ProxyManager)
    assert pool.proxy is not None
    assert (pool.proxy.host, pool.proxy.port, pool.proxy.auth) == ("proxy.example", 3128, None)
    login = base64.b64encode(b"bob:p@ss").decode()
    assert pool.proxy_headers == {"proxy-authorization": f"Basic {login}"}


def test_a_login_of_the_proxy_without_a_password_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://a-token@proxy.example:3128")
    pool = pool_for("https://a.example", None)
    assert isinstance(pool, urllib3.ProxyManager)
    assert pool.proxy_headers == {"proxy-authorization": f"Basic {base64.b64encode(b'a-token:').decode()}"}


def test_a_host_named_in_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "a.example")
    assert not isinstance(pool_for("https://a.example", ssl.create_default_context()), urllib3.ProxyManager)


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:8080/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        (" example.com , 10.0.0.0/8", "https://10.255.0.1/v2/", True),
        ("10.1.2.3/8", "http://10.9.9.9/", True),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("fd00::/8", "https://[fd12:3456::1]:8443/", True),
        ("[fd00::]/8", "https://[fd12:3456::1]/", True),
        ("fd00::/8", "https://[2001:db8::1]/", False),
        ("0.0.0.0/0", "https://[2001:db8::1]/", False),
        ("10.0.0.0/8", "https://10.example.com/", False),
        ("10.0.0.0/99,/,//8,x/8", "https://10.1.2.3/", False),
        (".example.com", "https://a.example.com/", True),
        ("a.example.com:8443", "https://a.example.com:8443/", True),
        ("*", "https://a.example.com/", True),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(url) is None) is direct


@pytest.mark.parametrize(
    "proxy",
    ["http://", "http://[::1", "http://a:99999", "socks5://a:1", "http://a:port", "ftp://a", "http://bob:s3cr3t@"],
)
def test_a_proxy_that_is_none_is_named_without_its_login(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(Failed) as failed:
        proxy_for("https://a.example/")
    assert failed.value.failure.reason is Reason.INVALID
    assert "HTTPS_PROXY" in failed.value.failure.fix
    assert "s3cr3t" not in str(failed.value.failure)


def test_a_proxy_that_wants_a_login_is_named_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("://", "://bob:s3cr3t@"))
        with pytest.raises(Failed) as failed:
            send("GET", "https://a.example/", Trust(), LIMITS)
    found = failed.value.failure
    assert (found.reason, found.message) == (Reason.DENIED, f"the proxy {proxy} wants another login (407)")


def test_a_proxy_that_refuses_a_host_is_named_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(Failed) as failed:
            send("GET", "https://a.example/", Trust(), LIMITS)
    found = failed.value.failure
    assert found.message == f"the proxy {proxy} answered 403 to the wish to reach a.example"
    assert "name a.example in NO_PROXY" in found.fix


def test_a_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{port}")
    with pytest.raises(Failed, match=f"the proxy http://127.0.0.1:{port} can't be reached"):
        send("GET", "https://a.example/", Trust(), LIMITS)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10:8080", "[::1]:8080", "LOCALHOST"])
def test_no_proxy_gets_what_is_for_this_machine_itself(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    assert proxy_for(f"http://{host}/api/v2/connections/docker_default") is None
    assert proxy_for(f"https://{host}") is None
    assert proxy_for("http://airflow.example/") == "http://proxy.example:3128"
