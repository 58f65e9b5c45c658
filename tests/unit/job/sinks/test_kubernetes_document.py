"""A pull secret's content: one login changes, whatever else is in the secret stays, and the kubelet can read it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import NOTHING, Credential, Holding, Secret
from ecr_refresher.job.sinks.kubernetes import answers, document
from ecr_refresher.job.sinks.kubernetes.document import Content

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
UNTIL = 1_795_886_188.0
TOKEN = "a-token-of-the-registry"
CREDENTIAL = Credential("AWS", Secret(TOKEN), UNTIL - 43_200, UNTIL)


def read(version: str, annotations: dict[str, str] | None, value: str) -> Content:
    """What a read gives where the server has this."""
    secret = {
        "metadata": {"name": "ecr-pull", "resourceVersion": version, "annotations": annotations},
        "type": document.TYPE,
        "data": {"other": "eA==", document.KEY: value},
    }
    return answers.read(json.dumps(secret).encode(), Content)


def content_of(body: dict[str, Any], version: str = "7", **more: str) -> Content:
    """What a read gives after this body was written."""
    return read(version, {**body["metadata"]["annotations"], **more}, body["data"][document.KEY])


def config_of(body: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(base64.b64decode(body["data"][document.KEY]))
    return config


def test_a_new_secret_is_of_the_kubelet_s_type_and_holds_the_login_in_both_forms() -> None:
    body = document.new("ecr-pull", {HOST: CREDENTIAL})
    assert body["type"] == "kubernetes.io/dockerconfigjson"
    entry = config_of(body)["auths"][HOST]
    assert (entry["username"], entry["password"]) == ("AWS", TOKEN)
    assert base64.b64decode(entry["auth"]).decode() == f"AWS:{TOKEN}"


def test_what_was_written_is_held_until_its_expiry() -> None:
    assert document.holding(content_of(document.new("ecr-pull", {HOST: CREDENTIAL})), HOST) == Holding(UNTIL)


def test_no_annotation_quotes_the_token() -> None:
    recorded = json.dumps(document.new("ecr-pull", {HOST: CREDENTIAL})["metadata"])
    assert TOKEN not in recorded
    assert base64.b64encode(TOKEN.encode()).decode()[:12] not in recorded


def test_a_patch_applies_to_the_version_that_was_read_and_keeps_other_hosts_and_keys() -> None:
    others = {"auths": {"ghcr.io": {"auth": "b3RoZXI="}, f"{HOST}/team": {"auth": "eA=="}}, "experimental": "enabled"}
    value = base64.b64encode(json.dumps(others).encode()).decode()
    body = document.patch(read("12", None, value), {HOST: CREDENTIAL})
    assert body["metadata"]["resourceVersion"] == "12"
    config = config_of(body)
    assert config["experimental"] == "enabled"
    assert {host: config["auths"][host] for host in others["auths"]} == others["auths"]
    assert set(body) == {"metadata", "data"}  # nothing else of the secret is sent, so nothing else changes
    assert set(body["metadata"]) == {"annotations", "resourceVersion"}


def test_what_others_wrote_keeps_its_very_text() -> None:
    entry = rb'{"auth": "eA==", "a": 1.0, "b": 123456789012345678901234567890, "c": "\u003c\/"}'
    text = rb'{"auths": {"ghcr.io": %s}, "HttpHeaders": {"x":  [1e2]}}' % entry
    body = document.patch(read("7", None, base64.b64encode(text).decode()), {HOST: CREDENTIAL})
    written = base64.b64decode(body["data"][document.KEY])
    assert entry in written
    assert b'{"x":  [1e2]}' in written


def test_a_null_for_the_entries_is_none_and_other_keys_stay() -> None:
    value = base64.b64encode(b'{"auths": null, "credHelpers": {"ghcr.io": "x"}}').decode()
    config = config_of(document.patch(read("7", None, value), {HOST: CREDENTIAL}))
    assert (list(config["auths"]), config["credHelpers"]) == ([HOST], {"ghcr.io": "x"})


def test_two_registries_of_one_secret_are_recorded_apart() -> None:
    later = Credential("AWS", Secret("another"), UNTIL, UNTIL + 60)
    content = content_of(document.new("ecr-pull", {HOST: CREDENTIAL, "public.ecr.aws": later}))
    assert document.holding(content, HOST) == Holding(UNTIL)
    assert document.holding(content, "public.ecr.aws") == Holding(UNTIL + 60)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not base64!",
        base64.b64encode(b"{").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"auths": []}').decode(),
        base64.b64encode(b'{"auths": {}}').decode(),
        base64.b64encode(b'{"auths": {"%s": null}}' % HOST.encode()).decode(),
        base64.b64encode(b"[" * 100_000).decode(),
    ],
)
def test_what_a_kubelet_could_not_use_holds_nothing_and_is_replaced_by_something_it_can_use(value: str) -> None:
    kept = document.new("ecr-pull", {HOST: CREDENTIAL})["metadata"]["annotations"]
    content = read("7", kept, value)
    assert document.holding(content, HOST) == NOTHING
    renewed = document.patch(content, {HOST: CREDENTIAL})
    assert document.holding(content_of(renewed), HOST) == Holding(UNTIL)


def test_a_login_changed_by_hand_under_an_intact_annotation_holds_nothing() -> None:
    body = document.new("ecr-pull", {HOST: CREDENTIAL})
    config = config_of(body)
    config["auths"][HOST]["password"] = "edited"
    body["data"][document.KEY] = base64.b64encode(json.dumps(config).encode()).decode()
    assert document.holding(content_of(body), HOST) == NOTHING


@pytest.mark.parametrize("recorded", ["", "tomorrow", "2026-02-31T00:00:00Z", "9" * 5000])
def test_an_annotation_that_is_no_moment_tells_nothing(recorded: str) -> None:
    body = document.new("ecr-pull", {HOST: CREDENTIAL})
    content = content_of(body, **{f"until.ecr-refresher/{HOST}": recorded})
    assert document.holding(content, HOST) == NOTHING


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=250))
def test_annotation_names_keep_kubernetes_rule_and_tell_hosts_apart(host: str) -> None:
    names = list(document.new("n", {host: CREDENTIAL, host + "x": CREDENTIAL})["metadata"]["annotations"])
    assert len(set(names)) == 4
    assert all(len(name.partition("/")[2]) <= 63 for name in names)


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"http://{HOST}/", f"https://{HOST}/v1/", f"{HOST}/v2/"])
def test_a_kubelet_reads_these_keys_alike(key: str) -> None:
    assert document.bare(key) == HOST
