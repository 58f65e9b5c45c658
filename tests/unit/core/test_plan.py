"""The resolved plan: its slots, in the order in which they are served, and whose tokens they want."""

from __future__ import annotations

import pytest

from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Plan, Principal, Registry, Role

OWN = Principal("ecr", "us-east-1")
PARTNER = Principal("ecr", "eu-west-1", (Role("arn:aws:iam::210987654321:role/pull", "team"),))
PLAN = Plan(
    registries=(
        Registry("own", "123456789012.dkr.ecr.us-east-1.amazonaws.com", OWN),
        Registry("partner", "210987654321.dkr.ecr.eu-west-1.amazonaws.com", PARTNER, required=False),
    ),
    airflows=(
        Airflow(
            "prod",
            "https://airflow.example.com",
            (Connection("docker_default", "own"), Connection("docker_partner", "partner")),
        ),
    ),
    dockers=(
        DockerConfig("/root/.docker/config.json", ("own", "partner")),
        DockerConfig("/b", ("own",), required=False),
    ),
)


def test_files_come_before_connections_since_they_serve_the_host_itself() -> None:
    assert [slot.sink for slot in PLAN.slots] == [
        "docker//root/.docker/config.json",
        "docker//root/.docker/config.json",
        "docker//b",
        "airflow/prod/docker_default",
        "airflow/prod/docker_partner",
    ]


def test_a_slot_is_required_if_all_of_its_own_are() -> None:
    required = {slot.id: slot.required for slot in PLAN.slots}
    assert required == {
        ("docker//root/.docker/config.json", "own"): True,
        ("docker//root/.docker/config.json", "partner"): False,
        ("docker//b", "own"): False,
        ("airflow/prod/docker_default", "own"): True,
        ("airflow/prod/docker_partner", "partner"): False,
    }


def test_a_slot_knows_whose_token_belongs_there_and_what_people_call_it() -> None:
    partner = next(slot for slot in PLAN.slots if slot.sink == "airflow/prod/docker_partner")
    assert partner.principal == "ecr/eu-west-1/arn:aws:iam::210987654321:role/pull external_id_1=#c4e0a61f"
    assert partner.target == "https://airflow.example.com"
    assert PLAN.slots[0].target == "/root/.docker/config.json"
    assert PLAN.slots[0].principal == "ecr/us-east-1"


def test_a_plan_is_unresolved_while_a_registry_has_no_host() -> None:
    assert not PLAN.unresolved
    assert Plan((Registry("own", "", OWN),)).unresolved


def test_registries_are_found_by_name() -> None:
    assert PLAN.registry("partner").host.startswith("210987654321.")
    with pytest.raises(StopIteration):
        PLAN.registry("nobody")


def test_different_principals_have_different_keys_and_external_ids_are_not_shown() -> None:
    arn = "arn:aws:iam::210987654321:role/pull"
    different = [
        OWN,
        Principal("ecr-public", "us-east-1"),
        Principal("ecr", "us-east-1", (Role(arn),)),
        Principal("ecr", "us-east-1", (Role(arn), Role(arn))),
        Principal("ecr", "us-east-1", (Role(arn, "team-data"),)),
        Principal("ecr", "us-east-1", (Role(arn, "team-date"),)),
        Principal("ecr", "us-east-1", (Role(arn, None, "session"),)),
        Principal("ecr", "us-east-1", (Role(arn, "team-data"), Role(arn))),
        Principal("ecr", "us-east-1", (Role(arn), Role(arn, "team-data"))),
        Principal("ecr", "us-east-1", profile="data"),
        Principal("ecr", "us-east-1", endpoint_url="https://e"),
        Principal("ecr", "us-east-1", use_fips=True),
        Principal("ecr", "us-east-1", use_fips=False),
        Principal("ecr", "us-east-1", use_dualstack=True),
        Principal("ecr", "us-east-1", ca_file="/ca.pem"),
    ]
    keys = [principal.key for principal in different]
    assert len(set(keys)) == len(different)
    assert not any("team" in key for key in keys)
