"""Bad input gets an error that names what and where and how to fix it; nothing is overwritten, nothing is leaked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.settings import CONNECTION, config_file, story, to_airflow
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.registry import HOST, Registry
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.aws_faults import Answer, Denied, EcrFault, encoded
from tests.testbed.standins.ecr import EcrStandIn


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"registrys": [HOST]}, ["registrys", "Did you mean 'registries'"]),
        ({"registries": ["https://" + HOST]}, ["registries[0]", "scheme"]),
        ({"registries": [HOST], "airflow": {"url": "http://airflow.example.com"}}, ["airflow", "allow_http"]),
        ({"registries": [HOST], "refresh": {"at_fraction": "2", "deadline": "soon"}}, ["at_fraction", "deadline"]),
        ("registries: [\n", ["line"]),
    ],
)
def test_wrong_settings_end_with_2_before_anything_is_touched(
    settings: Any, said: list[str], ecr: EcrStandIn, product: Product
) -> None:
    for command in ("once", "run"):
        done = product.run_cli(command, settings=settings, ecr_url=ecr.url)
        assert done.exit_code == 2, done.stderr
        assert all(word in done.stderr for word in said), done.stderr
    assert ecr.calls == []


def test_a_settings_file_that_is_not_there_is_named(product: Product, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"
    done = product.run_cli("once", "--config", str(missing))
    assert done.exit_code == 2
    assert str(missing) in done.stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Answer(token="*** not base64 ***"), "not base64"),
        (Answer(token=encoded("no colon in here")), "without a colon"),
        (Answer(token=""), "no token"),
        (Answer(expires_at=time.time() - 3600), "expired"),
        (Answer(missing=("expiresAt",)), "no expiry"),
        (Denied(), "ecr:GetAuthorizationToken"),
    ],
    ids=["not-base64", "no-colon", "empty", "expired", "no-expiry", "denied"],
)
def test_a_bad_answer_of_ecr_is_named_and_overwrites_nothing(
    fault: EcrFault, said: str, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    settings, trust = story(None, tmp_path), registry.environment()
    assert product.run_cli("once", settings=settings, ecr_url=ecr.url, env=trust).exit_code == 0
    before = config_file(tmp_path).read_bytes()
    ecr.always(fault)
    done = product.run_cli("once", "--force", "--json", settings=settings, ecr_url=ecr.url, env=trust)
    assert done.exit_code == 1
    (slot,) = done.json()["slots"]
    assert said in slot["error"]["message"]
    assert slot["error"]["reason"] == ("denied" if isinstance(fault, Denied) else "invalid")
    assert config_file(tmp_path).read_bytes() == before


def test_airflows_wrong_password_is_named_with_user_and_place(
    airflow: Airflow, ecr: EcrStandIn, registry: Registry, product: Product, secrets_seen: Secrets, tmp_path: Path
) -> None:
    settings = story(None, tmp_path)
    settings["airflow"] = to_airflow(airflow, tmp_path)
    wrong = tmp_path / "wrong"
    wrong.write_text(secrets_seen.add("the-wrong-password-of-oper"))
    settings["airflow"]["password_file"] = str(wrong)
    done = product.run_cli("once", "--json", settings=settings, ecr_url=ecr.url, env=registry.environment())
    assert done.exit_code == 1
    failed = {slot["sink"]: slot["error"] for slot in done.json()["slots"] if slot["error"]}
    assert list(failed) == [f"airflow/default/{CONNECTION}"]
    (error,) = failed.values()
    assert error["reason"] == "denied"
    assert "oper" in error["message"]
    assert str(wrong) in error["message"]


def test_a_missing_password_file_is_missing_and_no_error_of_the_settings(
    airflow: Airflow, ecr: EcrStandIn, registry: Registry, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path)
    settings["airflow"]["password_file"] = str(tmp_path / "not-there-yet")
    done = product.run_cli("once", "--json", settings=settings, ecr_url=ecr.url, env=registry.environment())
    assert done.exit_code == 1
    (error,) = (slot["error"] for slot in done.json()["slots"] if slot["error"])
    assert error["reason"] == "missing"
    assert "not-there-yet" in error["message"]


def test_no_right_to_edit_connections_names_the_permissions(
    airflow: Airflow, ecr: EcrStandIn, registry: Registry, product: Product, tmp_path: Path
) -> None:
    settings = story(None, tmp_path) | {"airflow": to_airflow(airflow, tmp_path, user="viewer")}
    done = product.run_cli("once", "--json", settings=settings, ecr_url=ecr.url, env=registry.environment())
    assert done.exit_code == 1
    (error,) = (slot["error"] for slot in done.json()["slots"] if slot["error"])
    assert error["reason"] == "denied"
    for right in ("can_read", "can_create", "can_edit"):
        assert right in error["fix"]
    assert airflow.get_connection(CONNECTION) is None
