"""The pure part of `check`: what is seen, and what is said of it."""

from __future__ import annotations

import dataclasses
import functools

import pytest
from msgspec import structs

from ecr_refresher.core.model import Failure, Holding, Reason
from ecr_refresher.core.plan import Airflow, Connection, Refresh, SecretsFile
from ecr_refresher.job.doctor import files, held
from ecr_refresher.job.doctor.findings import Finding, Row, Verdict, exit_status, failed, of_failure, ok, softened
from ecr_refresher.job.doctor.legs import airflow_reader
from ecr_refresher.job.doctor.legs.aws import skew
from ecr_refresher.job.files.examination import Examination
from ecr_refresher.job.sinks.airflow.entry import Shape, shape
from ecr_refresher.job.sinks.docker.messages import Found, Reading
from ecr_refresher.job.sinks.docker.readers import ANOTHER, DOCKER_PY, NONE, OURS, PODMAN, UNREADABLE, UNUSABLE
from ecr_refresher.job.sinks.docker.readers import DOCKER as DOCKER_COMMAND

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
LIFE, NOW = 43_200.0, 1_800_000_000.0
FRESH = functools.partial(held.freshness, now=NOW, life=LIFE, rules=Refresh())
GOOD = Shape("docker", HOST, "AWS", password=True, port=None, reauth=None, until=NOW + LIFE)
DOCKER = Connection("docker_default", HOST)
PLACE = Examination("/d/config.json", "/d", True, True, 0, False, False, False, mode=0o600, uid=0, gid=0)


# --- findings


def test_a_failure_brings_its_own_fix() -> None:
    found = of_failure(Failure(Reason.DENIED, "it says no; twice", "Grant this; or that"))
    assert found == Finding(Verdict.FAILED, "it says no; twice", "Grant this; or that")


def row(*verdicts: Verdict) -> Row:
    return Row("leg", "subject", "tried", tuple(Finding(verdict, "text", "fix") for verdict in verdicts))


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([Verdict.OK], Verdict.OK),
        ([Verdict.OK, Verdict.WARNING], Verdict.WARNING),
        ([Verdict.WARNING, Verdict.FAILED, Verdict.OK], Verdict.FAILED),
        ([Verdict.NOT_TRIED], Verdict.NOT_TRIED),
    ],
)
def test_a_row_is_as_bad_as_the_worst_of_its_findings(verdicts: list[Verdict], worst: Verdict) -> None:
    assert row(*verdicts).verdict is worst


def test_only_a_failure_makes_the_exit_status_1() -> None:
    assert exit_status([row(Verdict.OK), row(Verdict.WARNING), row(Verdict.NOT_TRIED)]) == 0
    assert exit_status([row(Verdict.OK), row(Verdict.FAILED)]) == 1


def test_what_is_not_required_only_warns_and_says_so() -> None:
    soft = softened(row(Verdict.FAILED, Verdict.OK))
    assert [one.verdict for one in soft.findings] == [Verdict.WARNING, Verdict.OK]
    assert soft.findings[0].text == "text (not required)"


# --- what is held


@pytest.mark.parametrize(
    ("until", "verdict", "said"),
    [
        (None, Verdict.WARNING, "whose expiry is known"),
        (NOW + 100 * LIFE, Verdict.WARNING, "later than any token does"),
        (NOW - 7200, Verdict.FAILED, "(2 h ago), so nobody renews it"),
        (NOW + 0.2 * LIFE, Verdict.WARNING, "should have been renewed"),
        (NOW + 0.3 * LIFE, Verdict.OK, "good until"),
        (NOW + LIFE, Verdict.OK, "(for 12 h)"),
    ],
)
def test_a_holding_is_judged_by_what_is_left_of_it(until: float | None, verdict: Verdict, said: str) -> None:
    found = FRESH(Holding(until))
    assert (found.verdict, said in found.text) == (verdict, True), found


def judged(**changes: object) -> list[Finding]:
    return held.connection(dataclasses.replace(GOOD, **changes), DOCKER, HOST, FRESH)  # type: ignore[arg-type]


def test_a_good_connection_is_ok() -> None:
    assert [one.verdict for one in judged()] == [Verdict.OK]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"conn_type": "http"}, "its type is 'http', not 'docker'"),
        ({"host": None}, "it has no host"),
        ({"host": "quay.io"}, f"its host is 'quay.io', not '{HOST}'"),
        ({"host": f"https://{HOST}/"}, "a scheme in front"),
        ({"login": "bob"}, "its login is 'bob', not 'AWS'"),
        ({"login": None}, "it has no login"),
        ({"password": False}, "it has no password"),
    ],
)
def test_what_a_write_puts_right_is_a_warning_told_once(changes: dict[str, object], said: str) -> None:
    (found,) = judged(**changes)
    assert (found.verdict, found.fix) == (Verdict.WARNING, held.DELIVER)
    assert said in found.text


def test_what_is_the_users_own_is_told_with_a_fix_by_hand() -> None:
    port, reauth, rest = judged(port="5000", reauth=False)
    assert (port.verdict, reauth.verdict, rest.verdict) == (Verdict.FAILED, Verdict.WARNING, Verdict.OK)
    assert f"{HOST}:5000" in port.text
    assert held.BY_HAND in (port.fix or "")


def test_reauth_true_and_an_empty_port_are_fine() -> None:
    assert [one.verdict for one in judged(port="", reauth=True)] == [Verdict.OK]


def test_a_connection_that_is_not_there_is_a_failure_only_if_none_may_be_created() -> None:
    (may,) = held.connection(None, DOCKER, HOST, FRESH)
    (may_not,) = held.connection(None, structs.replace(DOCKER, create=False), HOST, FRESH)
    assert (may.verdict, may_not.verdict) == (Verdict.WARNING, Verdict.FAILED)


@pytest.mark.parametrize("extra", ['{"reauth": false}', {"reauth": False}])
def test_a_shape_is_read_from_an_api_as_from_a_backend_and_holds_no_secret(extra: object) -> None:
    found = shape(
        {"conn_type": "docker", "host": HOST, "login": "AWS", "password": "hidden-one", "port": 443, "extra": extra},
        HOST,
    )
    assert found == Shape("docker", HOST, "AWS", password=True, port="443", reauth=False, until=None)
    assert "hidden-one" not in repr(found)


@pytest.mark.parametrize("extra", [None, "", "no json", "[1]", "[" * 100_000])
def test_an_extra_that_makes_no_sense_says_nothing_of_reauth(extra: object) -> None:
    assert shape({"extra": extra}, HOST).reauth is None


# --- files


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({}, Verdict.OK, "mode 0600, owner 0:0"),
        ({"mode": None}, Verdict.OK, "can be made"),
        ({"mode": None, "folder_is_there": False}, Verdict.OK, "with its directories"),
        ({"mounted": True}, Verdict.FAILED, "mounted as a single file"),
        ({"read_only": True, "writable": False}, Verdict.FAILED, "read-only"),
        ({"writable": False}, Verdict.FAILED, "uid 0 may not write in /d"),
        ({"blocked": ("lock",)}, Verdict.FAILED, "may not write /d/lock"),
        ({"full": True}, Verdict.FAILED, "the disk of /d is full"),
        ({"mode": 0o644}, Verdict.WARNING, "0644, not 0600, so that others may read"),
        ({"mode": 0o400}, Verdict.WARNING, "0400, not 0600"),
    ],
)
def test_a_place_for_a_file_is_judged(changes: dict[str, object], verdict: Verdict, said: str) -> None:
    (found,) = files.place(structs.replace(PLACE, **changes), 0o600)
    assert (found.verdict, said in found.text) == (verdict, True), found


def test_a_file_of_another_owner_is_told_with_both() -> None:
    (found,) = files.place(PLACE, 0o600, 50_000)
    assert (found.verdict, found.text) == (Verdict.WARNING, "it belongs to 0:0, not to 50000:0")


@pytest.mark.parametrize(("mode", "verdict"), [(0o600, Verdict.OK), (0o640, Verdict.OK), (0o644, Verdict.WARNING)])
def test_without_a_wanted_mode_only_a_file_that_everybody_may_read_is_warned_of(mode: int, verdict: Verdict) -> None:
    (found,) = files.place(structs.replace(PLACE, mode=mode), None)
    assert found.verdict is verdict


CONFIG = "/d/config.json"


@pytest.mark.parametrize(
    ("found", "verdict", "said", "fix"),
    [
        (Found(DOCKER_COMMAND, CONFIG, HOST, OURS), Verdict.OK, f"docker finds this login as '{HOST}' in {CONFIG}", ""),
        (Found(DOCKER_PY, "/h/config.json", HOST, OURS), Verdict.OK, "docker-py finds this login", ""),
        (Found(DOCKER_PY, "/h/config.json", "", NONE), Verdict.WARNING, "finds no login", "DOCKER_CONFIG=/d for"),
        (
            Found(PODMAN, "/h/auth.json", "", NONE),
            Verdict.WARNING,
            "finds no login",
            f"REGISTRY_AUTH_FILE={CONFIG}",
        ),
        (Found(DOCKER_COMMAND, CONFIG, "", UNREADABLE), Verdict.FAILED, f"uid 7 may not read {CONFIG}", "owner:"),
        (Found(DOCKER_COMMAND, CONFIG, HOST, ANOTHER), Verdict.FAILED, "docker finds another login", held.DELIVER),
        (Found(DOCKER_PY, CONFIG, "", UNUSABLE), Verdict.WARNING, f"docker-py can't use {CONFIG}", "Remove entries"),
        (Found(PODMAN, CONFIG, "", NONE), Verdict.WARNING, "Podman finds no login", "Remove credsStore"),
        (
            Found(PODMAN, CONFIG, f"{HOST}/team", ANOTHER),
            Verdict.WARNING,
            "uses it for images below",
            f"Run podman logout --authfile {CONFIG} {HOST}/team",
        ),
    ],
)
def test_readers_are_judged_by_what_they_find(found: Found, verdict: Verdict, said: str, fix: str) -> None:
    (judged,) = files.readers(Reading((found,)), CONFIG, "uid 7")
    assert (judged.verdict, said in judged.text, fix in (judged.fix or "")) == (verdict, True, True), judged


@pytest.mark.parametrize(
    ("docker", "docker_py", "said", "fix"),
    [
        (HOST, "docker-credential-memo", "it asks docker-credential-memo where", "Remove that host from credHelpers"),
        ("docker-credential-memo", HOST, "it does not ask docker-credential-memo", "Write the keys as credsStore"),
    ],
)
def test_a_docker_py_that_looks_elsewhere_than_docker_is_named_and_delivering_again_is_not_advised(
    docker: str, docker_py: str, said: str, fix: str
) -> None:
    found = (Found(DOCKER_COMMAND, CONFIG, docker, OURS), Found(DOCKER_PY, CONFIG, docker_py, NONE))
    well, judged = files.readers(Reading(found), CONFIG, "uid 7")
    assert (well.verdict, judged.verdict) == (Verdict.OK, Verdict.WARNING)
    assert said in judged.text
    assert (judged.fix or "").startswith(fix)


def test_a_login_in_the_environment_is_named_since_newer_docker_commands_read_it_first() -> None:
    (judged,) = files.readers(Reading((), auth_in_environ=True), CONFIG, "uid 7")
    assert (judged.verdict, "DOCKER_AUTH_CONFIG" in judged.text) == (Verdict.WARNING, True)


@pytest.mark.parametrize("key", [f"https://{HOST}", f"https://{HOST}/v2/"])
def test_an_old_entry_is_logged_out_by_its_own_key(key: str) -> None:
    assert f"docker --config /d logout {key}, then" in (files.old_entry(key, CONFIG).fix or "")


# --- the clock, and what Airflow reads


@pytest.mark.parametrize(
    ("seconds", "verdict", "said"),
    [
        (0.0, Verdict.OK, ""),
        (-59.0, Verdict.OK, ""),
        (90.0, Verdict.WARNING, "1 min ahead of AWS's"),
        (-90.0, Verdict.WARNING, "1 min behind AWS's"),
        (-301.0, Verdict.FAILED, "5 min behind AWS's"),
    ],
)
def test_the_clock_is_judged_by_what_aws_tolerates(seconds: float, verdict: Verdict, said: str) -> None:
    found = skew(seconds)
    assert (found.verdict, said in found.text) == (verdict, True)


API = Airflow("default", "https://airflow.example.com", (DOCKER,))
FILE = Airflow("default", "", (DOCKER,), secrets_file=SecretsFile("/run/connections.json"))


@pytest.mark.parametrize(
    ("airflow", "until", "shadow", "verdict", "said"),
    [
        (API, GOOD.until, None, Verdict.OK, "it reads what was delivered"),
        (API, None, "the backend b", Verdict.FAILED, "from the backend b"),
        (API, GOOD.until, "the workers' backend b", Verdict.FAILED, "from the workers' backend b"),
        (API, None, None, Verdict.WARNING, "whose expiry is known"),
        (API, NOW - 60, None, Verdict.FAILED, "expired"),
        (FILE, GOOD.until, "the backend b", Verdict.OK, "it reads what was delivered"),
        (FILE, None, None, Verdict.FAILED, "not from /run/connections"),
    ],
)
def test_what_airflow_reads_is_judged(
    airflow: Airflow, until: float | None, shadow: str | None, verdict: Verdict, said: str
) -> None:
    found = airflow_reader.judged(until, shadow, airflow, FRESH)
    assert (found.verdict, said in found.text) == (verdict, True), found


def test_words_of_well_being_have_no_fix() -> None:
    assert ok("fine").fix is None
    assert failed("bad", "do this").fix == "do this"
