"""Where `status` asks: what the command line, the environment and the settings file say of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecr_refresher.core import wire
from ecr_refresher.job import settings
from ecr_refresher.status.address import BadAddress, find


def url(given: str | None = None, ca: str | None = None, config: str | None = None, **environ: str) -> str:
    return find(given, ca, config, environ).url


def test_without_anything_it_is_the_default() -> None:
    assert url() == "http://127.0.0.1:9719"


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        (":9000", "http://127.0.0.1:9000"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("[::]:9000", "http://[::1]:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("10.0.0.7:9000", "http://10.0.0.7:9000"),
        ("  ", "http://127.0.0.1:9719"),
    ],
)
def test_the_environment_says_where_the_daemon_listens(listen: str, asked: str) -> None:
    assert url(ECR_REFRESHER_LISTEN=listen) == asked


@pytest.mark.parametrize(
    "text",
    [
        'server: {listen: ":9001"}',
        "server:\n  listen: 127.0.0.1:9001  # probes\nlog: {level: info}\n",
        '{"server": {"listen": "0.0.0.0:9001"}}',
    ],
)
def test_the_settings_file_says_it_too_and_the_environment_wins(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    plan = settings.load(wire.Load(str(file)), {"HOME": str(tmp_path), "AWS_REGION": "us-east-1"}).plan
    assert plan.server.port == 9001
    assert url(config=str(file)) == url(ECR_REFRESHER_CONFIG=str(file)) == "http://127.0.0.1:9001"
    assert url(config=str(file), ECR_REFRESHER_LISTEN=":9002") == "http://127.0.0.1:9002"


@pytest.mark.parametrize(
    "text", ["", "log: {level: info}", "server:", "server: {listen: null}", "[server]", "server: 5"]
)
def test_a_settings_file_that_says_nothing_of_it_leaves_the_default(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    assert url(config=str(file)) == "http://127.0.0.1:9719"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://host:1", "http://host:1"),
        ("http://host", "http://host:80"),
        ("https://host/", "https://host:443"),
        ("https://[::1]:9719", "https://[::1]:9719"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://host:1/behind/a/proxy/", "http://host:1/behind/a/proxy"),
    ],
)
def test_a_url_is_taken_at_its_word(given: str, asked: str) -> None:
    assert url(given, ECR_REFRESHER_LISTEN=":1", ECR_REFRESHER_CONFIG="/nowhere") == asked


@pytest.mark.parametrize(
    "given",
    ["host:1", "ftp://host", "http://", "http://me:secret@host", "http://host:99999", "http://host:x", "http://h/a b"],
)
def test_what_is_no_url_is_told_so_without_showing_it(given: str) -> None:
    with pytest.raises(BadAddress, match=r"^--url is not a URL of the daemon\. Write ") as said:
        url(given)
    assert "secret" not in str(said.value)


def test_a_ca_is_for_https() -> None:
    with pytest.raises(BadAddress, match="--ca is for https"):
        url("http://host", ca="ca.pem")


@pytest.mark.parametrize("listen", ["nowhere", "host:port", "host:99999"])
def test_an_address_that_is_none_says_how_to_write_one(listen: str) -> None:
    with pytest.raises(BadAddress, match=r"is not valid\. Write host:port, for example 127\.0\.0\.1:9719"):
        url(ECR_REFRESHER_LISTEN=listen)


def test_a_settings_file_that_cannot_be_read_names_the_way_round(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("server: {")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe server")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for file in (bad, binary, pipe, tmp_path / "none.yaml"):
        with pytest.raises(BadAddress, match=rf"{file.name}.*\. Name the daemon's address with --url"):
            url(config=str(file))


def test_a_settings_file_with_a_certificate_means_https(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text('server: {listen: ":9001", tls_cert: /tls.crt, tls_key: /tls.key}')
    assert url(config=str(file)) == "https://127.0.0.1:9001"
    assert url(config=str(file), ECR_REFRESHER_LISTEN=":9002") == "https://127.0.0.1:9002"


def test_the_certificate_s_path_is_expanded_as_the_daemon_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERTIFICATES", str(tmp_path))
    file = tmp_path / "settings.yaml"
    file.write_text("server: {tls_cert: $CERTIFICATES/absent.pem, tls_key: $CERTIFICATES/key.pem}")
    address = find(None, None, str(file), {})
    with pytest.raises(BadAddress, match=f"{tmp_path}/absent.pem"):
        address.trust()
