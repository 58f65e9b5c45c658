"""Other names of a registry: in the files that hold it, once, and never over what was written."""

from __future__ import annotations

from ecr_refresher.core.ecr import aliases
from ecr_refresher.core.plan import DockerConfig, Plan, Principal, Registry

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
FIPS = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"
OWN = Principal("ecr", "us-east-1")


def test_aliases_go_into_the_files_that_hold_the_registry() -> None:
    plan = Plan((Registry(HOST, HOST, OWN, aliases=True),), dockers=(DockerConfig("/a", (HOST,)),))
    found = aliases.spell_out(plan)
    others = [registry for registry in found.registries if registry.name != HOST]
    assert len(others) == 3
    assert {(other.principal, other.alias_of, other.name == other.host) for other in others} == {(OWN, HOST, True)}
    assert set(found.dockers[0].registries) == {HOST, *(other.name for other in others)}
    assert aliases.spell_out(found) == found


def test_a_host_that_the_settings_name_themselves_is_no_alias() -> None:
    registries = (Registry(HOST, HOST, OWN, aliases=True), Registry("fips", FIPS, Principal("ecr", "us-east-1", ())))
    found = aliases.spell_out(Plan(registries, dockers=(DockerConfig("/a", (HOST, "fips")),)))
    assert [registry.name for registry in found.registries if registry.host == FIPS] == ["fips"]


def test_two_names_of_one_registry_have_their_own_aliases_in_their_own_files() -> None:
    registries = tuple(Registry(name, HOST, OWN, aliases=True) for name in ("a", "b"))
    found = aliases.spell_out(Plan(registries, dockers=(DockerConfig("/a", ("a",)), DockerConfig("/b", ("b",)))))
    assert [sorted(docker.registries)[1] for docker in found.dockers] == [
        f"{name}@123456789012.dkr-ecr-fips.us-east-1.on.aws" for name in ("a", "b")
    ]


def test_without_the_wish_or_a_host_there_are_none() -> None:
    for registry in (Registry(HOST, HOST, OWN), Registry("default", "", OWN, aliases=True)):
        plan = Plan((registry,), dockers=(DockerConfig("/a", (registry.name,)),))
        assert aliases.spell_out(plan) == plan
