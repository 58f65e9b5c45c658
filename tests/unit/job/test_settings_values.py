"""How single values are written: what is read is what was meant, and nothing else is taken."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ecr_refresher.core.times import written
from ecr_refresher.job.settings.problems import Wrong
from ecr_refresher.job.settings.schema import kinds, urls

DURATION = TypeAdapter(Annotated[float, kinds.duration(0.0, 1e10)])
MODE = TypeAdapter(kinds.Mode)
LISTEN = TypeAdapter(kinds.Listen)
SIZE = TypeAdapter(kinds.Size)
BASE = TypeAdapter(urls.AirflowUrl)


def again(kind: TypeAdapter[Any], value: object) -> Any:
    """A value as it is after being written and read."""
    return kind.validate_python(kind.dump_python(value, mode="json"))


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
    assert DURATION.validate_python(text) == duration_s


@given(st.integers(1, 10**9))
def test_a_duration_survives_being_written_and_read(milliseconds: int) -> None:
    duration_s = milliseconds / 1000
    assert DURATION.validate_python(written(duration_s)) == pytest.approx(duration_s, rel=1e-5)
    assert again(DURATION, duration_s) == pytest.approx(duration_s, rel=1e-5)


@pytest.mark.parametrize("text", ["", "-5s", "5 m", "1w", "s", "1e3", "inf", "nan", "5m-", "٣s", "1.s"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a duration"):
        DURATION.validate_python(text)


@given(st.integers(0, 0o777))
def test_a_mode_survives_being_written_and_read(mode: int) -> None:
    for text in (f"{mode:04o}", f"{mode:o}", f"0o{mode:o}"):
        assert MODE.validate_python(text) == mode
    assert again(MODE, mode) == mode


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_can_be_listened_at(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    shown = f"[{address}]" if address.version == 6 else str(address)
    found = LISTEN.validate_python(f"{shown}:{port}")
    assert found == (str(address), port)
    assert again(LISTEN, found) == found


def test_an_empty_host_is_every_interface() -> None:
    assert LISTEN.validate_python(":9719") == ("", 9719)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("50GB", 50 * 10**9),
        ("1.5 TB", 1500 * 10**9),
        ("500MB", 500 * 10**6),
        ("20kB", 20_000),
        ("20KB", 20_000),
        ("7B", 7),
        ("2GiB", 2 << 30),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes_are_read_and_written_again(text: str, count: int) -> None:
    assert SIZE.validate_python(text) == count
    assert again(SIZE, count) == count


@pytest.mark.parametrize("text", ["", "50", "GB", "50 gigs", "-1GB", "50GBB", "iB", "5iB", "1e3MB", "50GB\n"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not a size"):
        SIZE.validate_python(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Airflow.Example.com/Deploy/", "https://airflow.example.com/Deploy"),
        ("HTTPS://a:8443", "https://a:8443"),
        ("https://a:443/", "https://a"),
        ("http://[::1]:8080//", "http://[::1]:8080"),
    ],
)
def test_a_url_has_one_spelling_without_a_slash_at_its_end(text: str, url: str) -> None:
    assert BASE.validate_python(text) == url


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_no_url_with_a_login_is_taken(before: str, after: str) -> None:
    text = f"https://{before.replace('/', '').replace(chr(92), '')}:hunter2@{after}".replace("#", "").replace("?", "")
    with pytest.raises(ValidationError) as refused:
        BASE.validate_python(text)
    assert "hunter2" not in str(refused.value.errors(include_input=False, include_url=False))


KINDS = {
    name: TypeAdapter(kind)
    for module in (kinds, urls)
    for name, kind in vars(module).items()
    if any(type(one).__module__.startswith("ecr_refresher") for one in getattr(kind, "__metadata__", ()))
}
VALUES = st.text(max_size=40) | st.none() | st.lists(st.text(), max_size=2) | st.dictionaries(st.text(), st.text())


@given(VALUES)
def test_every_kind_takes_or_refuses_any_value_and_says_so_in_our_words(value: object) -> None:
    assert len(KINDS) > 30
    for name, kind in KINDS.items():
        try:
            kind.validate_python(value)
        except ValidationError as refused:
            for error in refused.errors(include_input=False, include_url=False):
                raised = error.get("ctx", {}).get("error")
                assert raised is None or type(raised) is Wrong, name  # a library's would have the value in it


@pytest.mark.parametrize("image", ["web_scraper", "team/web-scraper:1.0", "a__b/c.d:Latest_1", "a--b"])
def test_an_image_is_a_repository_and_perhaps_a_tag(image: str) -> None:
    assert TypeAdapter(kinds.Image).validate_python(image) == image
