"""The text of a `config.json`: one entry changes, all else keeps its meaning."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.job.sinks.docker.document import Document

from .docker_world import HOST, OTHER_HOST, refusal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
ENTRIES = st.dictionaries(st.text().filter(lambda key: key != HOST), JSON, max_size=4)


def parsed(content: Any) -> Document:
    return Document.parse("/c.json", content if isinstance(content, bytes) else json.dumps(content).encode())


def exact(text: bytes) -> Any:
    """The content with every digit of its numbers and every order of its keys."""
    return json.loads(text, parse_float=Decimal, object_pairs_hook=lambda pairs: ("object", pairs))


@given(others=st.dictionaries(st.text(), JSON), auths=ENTRIES, ascii_only=st.booleans())
def test_whatever_else_stands_in_the_file_keeps_its_meaning(
    others: dict[str, Any], auths: dict[str, Any], ascii_only: bool
) -> None:
    others = {key: value for key, value in others.items() if key not in ("auths", "credHelpers", "credsStore")}
    whole = {**others, "auths": {**auths, HOST: {"auth": "b2xkOm9sZA==", "email": "a@b.c"}}, "credHelpers": {"x": "y"}}
    text = json.dumps(whole, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        document = Document.parse("/c.json", text)
    except Failed:  # a lone half of a surrogate pair, unescaped, is no UTF-8
        assert not ascii_only
        return
    changed = document.with_logins({HOST: "bmV3Om5ldw=="}).render()
    expected = {**whole, "auths": {**auths, HOST: {"email": "a@b.c", "auth": "bmV3Om5ldw=="}}}
    assert exact(changed) == exact(json.dumps(expected).encode())


@pytest.mark.parametrize("number", ["1e400", "1.10", "-0", "1E+2", pytest.param("9" * 5000, id="5000 digits")])
def test_numbers_keep_every_digit(number: str) -> None:
    text = parsed(f'{{"n": [{number}]}}'.encode()).with_logins({HOST: "eA=="}).render()
    assert f" {number}\n".encode() in text


def test_the_text_is_indented_for_people_to_read() -> None:
    text = parsed(b'{"HttpHeaders":{"a":"\\u00e4"},"none":[]}').with_logins({HOST: "eA=="}).render().decode()
    assert text == (
        '{\n    "HttpHeaders": {\n        "a": "\\u00e4"\n    },\n    "none": [],'
        f'\n    "auths": {{\n        "{HOST}": {{\n            "auth": "eA=="\n        }}\n    }}\n}}\n'
    )


@pytest.mark.parametrize("empty", [None, b"", b" \n", b"{}", b'{"auths": null}'])
def test_an_empty_file_is_an_empty_object(empty: bytes | None) -> None:
    document = Document.parse("/c.json", empty)
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render()) == {"auths": {HOST: {"auth": "eA=="}}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{\n"auths": {"h": "c2VjcmV0LXRva2Vu",}}', " is not JSON at line 2"),
        (b'{"auths": {"h": {"auth": "c2VjcmV0LXRva2Vu"', " is not JSON at line 1"),
        (b"[]", " is not a JSON object"),
        (b"null", " is not a JSON object"),
        (b'{"a": NaN}', " holds NaN, which is not a JSON number"),
        (b'{"auths": {"c2VjcmV0LXRva2Vu": {}, "c2VjcmV0LXRva2Vu": {}}}', " has a key twice in one object"),
        (b'{"auths": []}', ": `auths` is not an object"),
        (b'{"credHelpers": "x"}', ": `credHelpers` is not an object"),
        (b'{"CREDHELPERS": "x"}', ": `credHelpers` is not an object"),
        (b'{"a": "\xff c2VjcmV0LXRva2Vu"}', " is not UTF-8 at byte 7"),
        (b'{"a": "\\ud800 c2VjcmV0LXRva2Vu"}', " has an escape that stands for no character"),
        pytest.param(b"[" * 100_000, " is nested too deeply", id="nested"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place_and_the_fix(text: bytes, said: str) -> None:
    failure = refusal(lambda: Document.parse("/d/config.json", text))
    assert failure.reason is Reason.INVALID
    assert failure.message.startswith(f"/d/config.json{said}")
    assert failure.fix == "Correct the file, or move it away and log in again"
    assert "c2VjcmV0" not in str(failure)


def test_an_entry_of_ours_that_is_no_object_is_refused() -> None:
    document = parsed({"auths": {HOST: "x", OTHER_HOST: {}}})
    failure = refusal(lambda: document.with_logins({HOST: "eA=="}))
    assert (failure.reason, failure.fix) == (Reason.INVALID, f"Run docker logout {HOST}, or correct the file")
    assert document.with_logins({OTHER_HOST: "eA=="}).auth(OTHER_HOST) == "eA=="


@pytest.mark.parametrize(
    ("content", "helper"),
    [
        ({}, None),
        ({"credsStore": ""}, None),
        ({"credsStore": "pass"}, "pass"),
        ({"credHelpers": {HOST: "ecr-login"}, "credsStore": "pass"}, "ecr-login"),
        ({"credHelpers": {OTHER_HOST: "ecr-login"}}, None),
        # As the docker command: an empty name means the file, null leaves the value as it is, keys have any case.
        ({"credHelpers": {HOST: ""}, "credsStore": "pass"}, None),
        ({"credHelpers": {HOST: None}, "credsStore": "pass"}, None),
        ({"credHelpers": None, "credsStore": "pass"}, "pass"),
        ({"credSstore": "memo"}, "memo"),
        ({"credsstore": "memo"}, "memo"),
        ({"credhelpers": {HOST: "memo"}, "credsStore": "pass"}, "memo"),
        ({"credsStore": "pass", "CREDSSTORE": "memo"}, "memo"),
        ({"credsStore": "pass", "CREDSSTORE": None}, "pass"),
    ],
)
def test_the_helper_is_found_as_the_docker_command_finds_it(content: dict[str, Any], helper: str | None) -> None:
    assert parsed(content).helper_for(HOST) == helper


@pytest.mark.parametrize("name", [5, ["x"], "../x", "a b", "x" * 65])
def test_a_helper_without_a_valid_name_is_refused(name: object) -> None:
    failure = refusal(lambda: parsed({"credsStore": name}).helper_for(HOST))
    assert failure.reason is Reason.INVALID


def test_keys_are_read_in_any_case_and_written_as_docker_writes_them() -> None:
    document = parsed({"Auths": {HOST: {"Auth": "eA=="}}, "auths": {"a.example": {"auth": "eQ=="}}, "x": 1})
    assert document.auth(HOST) == "eA=="
    changed = json.loads(document.with_logins({HOST: "eg=="}).render())
    assert changed == {"auths": {HOST: {"auth": "eg=="}, "a.example": {"auth": "eQ=="}}, "x": 1}


@pytest.mark.parametrize("key", ["identitytoken", "registrytoken", "IdentityToken", "PASSWORD"])
def test_what_would_be_used_instead_of_our_login_goes(key: str) -> None:
    document = parsed({"auths": {HOST: {"auth": "eA==", key: "t", "email": "e"}}})
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render())["auths"][HOST] == {"email": "e", "auth": "eA=="}


@pytest.mark.parametrize("others", [{"ghcr.io": None}, {"ghcr.io": {"auth": ""}}, {"ghcr.io": 5}, {"ghcr.io": "x"}])
def test_entries_of_others_need_not_make_sense(others: dict[str, Any]) -> None:
    document = parsed({"auths": others})
    assert json.loads(document.with_logins({HOST: "eA=="}).render())["auths"] == {**others, HOST: {"auth": "eA=="}}


def test_a_url_of_the_host_is_not_ours() -> None:
    twins = {f"https://{HOST}": {"auth": "b2xk"}, f"https://{HOST}/v1/": {"auth": "b2xk"}}
    document = parsed({"auths": twins})
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render())["auths"] == {**twins, HOST: {"auth": "eA=="}}


def test_a_helper_leaves_an_empty_entry_as_the_docker_command_does() -> None:
    document = parsed({"auths": {HOST: {"auth": "eA==", "email": "e"}}})
    assert not document.emptied(HOST)
    assert document.with_logins({HOST: None}).emptied(HOST)
    assert json.loads(document.with_logins({HOST: None}).render())["auths"] == {HOST: {"email": "e"}}
