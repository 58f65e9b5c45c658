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


@given(
    st.lists(
        st.dictionaries(st.sampled_from([HOST, "a.example", "b.example"]), st.sampled_from(["eA==", "eQ==", None]))
    )
)
def test_many_changes_one_after_the_other_are_written_as_if_read_anew_before_each(
    changes: list[dict[str, str | None]],
) -> None:
    """The texts of logins are kept from one write to the next: never that of one that has changed since."""
    kept = parsed({"auths": {HOST: {"auth": "b2xk", "email": "a@b.c"}, "else": {"auth": "eg=="}}})
    text = kept.render()
    for change in changes:
        kept = kept.with_logins(change)
        text = Document.parse("/c.json", text).with_logins(change).render()
        assert kept.render() == text


@pytest.mark.parametrize("number", ["1e400", "123456789012345678901234567890", "1.10", "-0", "1E+2", "9" * 5000])
def test_numbers_keep_every_digit(number: str) -> None:
    text = parsed(f'{{"n": [{number}]}}'.encode()).with_logins({HOST: "eA=="}).render()
    assert f"\t\t{number}\n".encode() in text


def test_the_text_looks_as_the_docker_command_writes_it() -> None:
    document = parsed({"HttpHeaders": {"a": "ä"}, "empty": {}, "none": [], "aliases": [True, None]})
    assert document.with_logins({HOST: "eA=="}).render().decode() == (
        '{\n\t"HttpHeaders": {\n\t\t"a": "ä"\n\t},\n\t"empty": {},\n\t"none": [],'
        f'\n\t"aliases": [\n\t\ttrue,\n\t\tnull\n\t],'
        f'\n\t"auths": {{\n\t\t"{HOST}": {{\n\t\t\t"auth": "eA=="\n\t\t}}\n\t}}\n}}\n'
    )


@pytest.mark.parametrize("empty", [None, b"", b" \n", b"{}", b'{"auths": null}'])
def test_an_empty_file_is_an_empty_object(empty: bytes | None) -> None:
    document = Document.parse("/c.json", empty)
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render()) == {"auths": {HOST: {"auth": "eA=="}}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{\n"auths": {"h": "c2VjcmV0LXRva2Vu",}}', "not JSON at line 2"),
        (b'{"auths": {"h": {"auth": "c2VjcmV0LXRva2Vu"', "not JSON at line 1"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"auths": {"h": {}, "h": {}}}', "the key 'h' is there twice"),
        (b'{"auths": []}', "`auths` is no object"),
        (b'{"credHelpers": "x"}', "`credHelpers` is no object"),
        (b'{"a": "\xff c2VjcmV0LXRva2Vu"}', "not UTF-8 at byte 7"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place_and_the_mend(text: bytes, said: str) -> None:
    failure = refusal(lambda: Document.parse("/d/config.json", text))
    assert failure.reason is Reason.INVALID
    assert failure.message.startswith(f"/d/config.json: {said}")
    assert "mend the file" in failure.message
    assert "c2VjcmV0" not in failure.message


def test_an_entry_of_ours_that_is_no_object_is_refused() -> None:
    document = parsed({"auths": {HOST: "x", OTHER_HOST: {}}})
    assert refusal(lambda: document.with_logins({HOST: "eA=="})).reason is Reason.INVALID
    assert document.with_logins({OTHER_HOST: "eA=="}).auth(OTHER_HOST) == "eA=="


@pytest.mark.parametrize(
    ("content", "helper"),
    [
        ({}, None),
        ({"credsStore": ""}, None),
        ({"credsStore": "pass"}, "pass"),
        ({"credHelpers": {HOST: "ecr-login"}, "credsStore": "pass"}, "ecr-login"),
        ({"credHelpers": {OTHER_HOST: "ecr-login"}}, None),
        ({"credHelpers": {HOST: ""}, "credsStore": "pass"}, None),  # so the docker command: an empty name is the file
    ],
)
def test_the_helper_is_found_as_the_docker_command_finds_it(content: dict[str, Any], helper: str | None) -> None:
    assert parsed(content).helper_for(HOST) == helper


@pytest.mark.parametrize("name", [5, ["x"], "../x", "a b"])
def test_a_helper_without_a_valid_name_is_refused(name: object) -> None:
    failure = refusal(lambda: parsed({"credsStore": name}).helper_for(HOST))
    assert failure.reason is Reason.INVALID


def test_an_identity_token_would_win_so_it_is_no_login_of_ours_and_goes() -> None:
    document = parsed({"auths": {HOST: {"auth": "eA==", "identitytoken": "t", "email": "e"}}})
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render())["auths"][HOST] == {"email": "e", "auth": "eA=="}


def test_a_twin_key_is_not_ours() -> None:
    twins = {f"https://{HOST}": {"auth": "b2xk"}, f"https://{HOST}/v1/": {"auth": "b2xk"}}
    document = parsed({"auths": twins})
    assert document.auth(HOST) is None
    assert json.loads(document.with_logins({HOST: "eA=="}).render())["auths"] == {**twins, HOST: {"auth": "eA=="}}


def test_a_helper_leaves_an_empty_entry_as_the_docker_command_does() -> None:
    document = parsed({"auths": {HOST: {"auth": "eA==", "email": "e"}}})
    assert not document.emptied(HOST)
    assert document.with_logins({HOST: None}).emptied(HOST)
    assert json.loads(document.with_logins({HOST: None}).render())["auths"] == {HOST: {"email": "e"}}
