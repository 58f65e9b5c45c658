"""Proxies: metadata never goes through one, and a login in a proxy's URL is sent to it."""

from __future__ import annotations

import base64
import ssl
from urllib.request import proxy_bypass

import pytest
import urllib3
from botocore.utils import get_environ_proxies

from ecr_refresher.job.aws.credential_errors import fix, tried
from ecr_refresher.job.net.proxies import METADATA, keep_metadata_direct, pool_for

ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]")


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


def test_a_host_named_in_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "a.example")
    assert not isinstance(pool_for("https://a.example", ssl.create_default_context()), urllib3.ProxyManager)


def test_what_was_tried_for_credentials_goes_by_the_surroundings() -> None:
    assert "AWS_EC2_METADATA_DISABLED is set" in ", ".join(tried({"AWS_EC2_METADATA_DISABLED": "true"}))
    named = ", ".join(tried({}, "data"))
    assert "AWS_ACCESS_KEY_ID" not in named  # a named profile is asked instead
    assert "profile 'data'" in named
    assert "hop limit" not in fix({}, files=())
    assert "hop limit must be 2" in fix({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, files=())
