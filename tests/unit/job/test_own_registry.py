"""The caller's own registry: asked for once in each region, and put into the plan wherever it was meant."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.core.plan import OWN, Airflow, Connection, DockerConfig, Plan, Principal, Registry
from ecr_refresher.job.aws import own_registry

EAST, WEST = Principal("ecr", "us-east-1"), Principal("ecr", "us-west-2")
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OTHER = Registry("other", "210987654321.dkr.ecr.us-east-1.amazonaws.com", EAST)
PLAN = Plan(
    (Registry(OWN, "", EAST), OTHER),
    (Airflow("default", "https://a", (Connection("mine", OWN), Connection("theirs", "other"))),),
    (DockerConfig("/config.json", (OWN, "other")),),
)


def never(principal: Principal) -> str:
    raise AssertionError(principal)


def test_a_plan_that_knows_its_hosts_asks_nobody() -> None:
    assert own_registry.find_out(replace(PLAN, registries=(OTHER,)), never, 10) == ({}, None)


def test_each_principal_is_asked_once() -> None:
    asked: list[str] = []

    def own_host(principal: Principal) -> str:
        asked.append(principal.region)
        return f"host in {principal.region}"

    plan = replace(PLAN, registries=(Registry("a", "", EAST), Registry("b", "", EAST), Registry("c", "", WEST), OTHER))
    assert own_registry.find_out(plan, own_host, 10) == (
        {EAST.key: "host in us-east-1", WEST.key: "host in us-west-2"},
        None,
    )
    assert asked == ["us-east-1", "us-west-2"]


def test_one_principal_that_fails_keeps_no_other_back_and_says_why() -> None:
    def own_host(principal: Principal) -> str:
        if principal == EAST:
            raise Failed(Reason.DENIED, "AWS does not know the access key")
        return "host"

    found, failure = own_registry.find_out(
        replace(PLAN, registries=(Registry("a", "", EAST), Registry("b", "", WEST))), own_host, 10
    )
    assert found == {WEST.key: "host"}
    assert failure is not None
    assert failure.reason is Reason.DENIED


def test_the_host_takes_its_place_everywhere_and_is_the_name_as_well() -> None:
    plan = own_registry.known(PLAN, {EAST.key: HOST})
    assert not plan.unresolved
    assert plan.registries == (Registry(HOST, HOST, EAST), OTHER)
    assert [connection.registry for connection in plan.airflows[0].connections] == [HOST, "other"]
    assert plan.dockers[0].registries == (HOST, "other")
    assert {slot.registry for slot in plan.slots} == {HOST, "other"}


def test_a_name_that_the_settings_give_it_stays() -> None:
    named = replace(PLAN, registries=(Registry("mine", "", EAST),), airflows=(), dockers=())
    assert own_registry.known(named, {EAST.key: HOST}).registries == (Registry("mine", HOST, EAST),)


@pytest.mark.parametrize("hosts", [{}, {"eu-west-1": HOST}])
def test_a_plan_stays_as_it_is_while_its_host_is_not_known(hosts: dict[str, str]) -> None:
    assert own_registry.known(PLAN, hosts) == PLAN
