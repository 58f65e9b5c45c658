"""What a bad answer comes to."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_refresher.core import budgets
from ecr_refresher.core.model import Reason
from ecr_refresher.job.sinks.airflow.answers import Answer, Place, failure, read

SENT = ("connection_id", "password", "description")


def message(answer: Answer, sent: tuple[str, ...] = SENT) -> str:
    return str(failure("Airflow 'prod' at http://x", "PATCH of it", answer, sent=sent).failure)


@pytest.mark.parametrize(
    "detail",
    [
        None,
        "the password itself",
        5,
        [],
        ["the password itself"],
        [{}],
        [{"loc": "the password itself"}],
        [{"loc": ["body", "the password itself"], "msg": "the password itself"}],
        [{"loc": [{"the password itself": 1}, 5]}],
        {"the password itself": 1},
        "{'the password itself': ['no']}",
    ],
)
def test_only_names_of_our_own_fields_are_ever_quoted(detail: Any) -> None:
    said = message(Answer(422, {"detail": detail}))
    assert "itself" not in said
    assert "names none of the fields sent" in said


def test_refused_fields_are_named_in_our_order() -> None:
    detail: list[Place] = [{"loc": ["body", "description"]}, {"loc": ["body", "password"]}]
    assert message(Answer(422, {"detail": detail})).endswith(
        "it refuses password, description. Correct password, description"
    )
    assert message(Answer(400, {"detail": "{'description': ['Too long.']}"})).endswith("Correct description")
    assert message(Answer(400, {"detail": "The key 'a b' has to be made of alphanumeric…"})).endswith(
        "Correct connection_id"
    )


def test_an_airflow_without_teams_blames_the_body_and_we_the_team() -> None:
    answer = Answer(422, {"detail": [{"loc": ["body"]}]})
    assert "Leave team_name out unless" in message(answer, (*SENT, "team_name"))
    assert "team_name" not in message(answer)


@pytest.mark.parametrize("content", [None, [], "text", 5])
def test_a_success_without_an_object_is_none(content: Any) -> None:
    answer = Answer(200, content)
    assert not answer.done
    assert failure("Airflow", "a look", answer).failure.reason is Reason.INVALID


def test_an_answer_shows_no_body() -> None:
    assert "secret" not in repr(Answer(422, {"detail": "secret"}))


def test_only_what_is_used_is_read() -> None:
    raw = b'{"description": "x", "extra": null, "port": 5000, "more": [[]], "detail": [{"loc": ["a", 1], "input": {}}]}'
    expected = {"description": "x", "extra": None, "port": 5000, "detail": [{"loc": ["a", 1]}]}
    assert read(raw, 422) == expected
    assert read(b'{"description": []}', 200) is None


def test_a_refusal_of_the_largest_size_is_one_without_fields() -> None:
    raw = b'{"detail": [{}' + b",{}" * (budgets.AIRFLOW_REFUSAL_MAX // 3) + b"]}"
    assert read(raw, 422) is None
