"""100 registries over 10 roles and 4 regions: counts and memory. Time is measured by `make bench`."""

from __future__ import annotations

import json

from tests.aws.many import REGIONS, REGISTRIES, ROLES, platform
from tests.aws.world import secrets_of
from tests.testbed.secret_hunt import Outputs, Secrets

MEMORY_MB = 130


def test_a_hundred_registries_cost_forty_fetches_and_ten_roles(secrets_seen: Secrets, outputs: Outputs) -> None:
    with platform() as world:
        first = world.once("--strict")
        assert world.count("AssumeRole") == len(ROLES)
        assert world.count("GetAuthorizationToken") == len(ROLES) * len(REGIONS) == 40

        # One call in twenty was throttled. No retry within the pass: that is the schedule's, and the next pass's.
        failed = [slot for slot in first.slots if slot["error"]]
        assert 0 < len(failed) <= 10
        assert {slot["error"]["reason"] for slot in failed} == {"throttled"}
        assert first.exit_code == 1

        second = world.once("--strict")
        assert (second.exit_code, second.stderr.count("token_fetched")) == (0, 2)
        assert world.count("GetAuthorizationToken") == 40 + 2
        held = json.loads(world.config_file.read_text())["auths"]
        assert set(held) == {registry["host"] for registry in REGISTRIES}
        assert {login.host for login in world.front.logins if login.verdict == "ok"} == set(held)
        assert max(first.cost.peak_mb, second.cost.peak_mb) <= MEMORY_MB
        secrets_seen.add(*secrets_of(world.ecr.book, world.ecr))
        outputs.keep("many.stderr", first.stderr + second.stderr)
