"""How single values are written: what is read is what was meant, and nothing else is taken."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.times import written
from ecr_refresher.job.settings.reading import values
from ecr_refresher.job.settings.resolving import urls


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        ("1h30m", 5400),
        ("0.5s", 0.5),
        ("250ms", 0.25),
    ],
)
def test_a_duration_has_units_or_is_seconds(text: str, duration_s: float) -> None:
    assert values.seconds(text) == duration_s


@given(st.integers(1, 10**9))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    duration_s = milliseconds / 1000
    assert values.seconds(written(duration_s)) == pytest.approx(duration_s, rel=1e-5)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_refused_without_being_shown(text: str) -> None:
    try:
        assert values.seconds(text) >= 0
    except ValueError as error:
        assert str(error) == "is no duration; write e.g. 90s, 5m, 1h30m or 1d"  # noqa: PT017


@pytest.mark.parametrize("text", ["", "-5s", "5 m", "1w", "s", "1e3", "inf", "nan", "5m-", "٣s", "1.s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        values.seconds(text)


@given(st.integers(0, 0o777))
def test_a_mode_survives_being_written_and_read(mode: int) -> None:
    assert (
        values.octal_mode(f"{mode:04o}") == values.octal_mode(f"{mode:o}") == values.octal_mode(f"0o{mode:o}") == mode
    )


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_can_be_listened_at(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    shown = f"[{address}]" if address.version == 6 else str(address)
    if getattr(address, "ipv4_mapped", None) is None:
        assert values.listen_address(f"{shown}:{port}") == (str(address), port)


def test_an_empty_host_is_every_interface() -> None:
    assert values.listen_address(":9719") == ("", 9719)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Airflow.Example.com/Deploy/", "https://airflow.example.com/Deploy"),
        ("HTTPS://a:8443", "https://a:8443"),
        ("http://[::1]:8080//", "http://[::1]:8080"),
    ],
)
def test_a_url_loses_the_slash_at_its_end(text: str, url: str) -> None:
    assert urls.base_url(text) == url


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_no_url_with_a_login_is_taken(before: str, after: str) -> None:
    with pytest.raises(ValueError, match=r"; write"):
        urls.base_url(f"https://{before.replace('/', '')}:hunter2@{after}".replace("#", "").replace("?", ""))


@given(st.one_of(st.text(max_size=40), st.none(), st.lists(st.text(), max_size=2)))
def test_every_reader_takes_or_refuses_any_value(value: object) -> None:
    readers = (
        urls.base_url, urls.secure_url, urls.airflow_url, urls.engine_url, values.image, values.path,
        values.secret_path, values.text, values.boolean, values.number, values.octal_mode, values.listen_address,
        values.region, values.duration(1), values.one_of("a"), values.matching("a", "b"),
    )  # fmt: skip
    for reader in readers:
        try:
            reader(value)
        except ValueError as error:
            assert type(error) is ValueError  # noqa: PT017 - a subclass would be a library's, with the value in it


@pytest.mark.parametrize("image", ["web_scraper", "team/web-scraper:1.0", "a__b/c.d:Latest_1", "a--b"])
def test_an_image_is_a_repository_and_perhaps_a_tag(image: str) -> None:
    assert values.image(image) == image
