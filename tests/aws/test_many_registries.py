"""Many registries: counts and memory. Time is measured by `make bench`."""

from __future__ import annotations

import base64
import json

from tests.aws.many import REGIONS, REGISTRIES, ROLES, platform
from tests.aws.world import BASE_KEY, secrets_of
from tests.testbed.secret_hunt import Outputs, Secrets

MEMORY_MB = 130
MANY_ROLES = 100


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


def test_each_role_costs_two_calls_and_a_proof_and_its_token_goes_to_its_own_registry(
    secrets_seen: Secrets, outputs: Outputs
) -> None:
    accounts = range(210987654300, 210987654300 + MANY_ROLES)
    registries = [
        {"host": f"{account}.dkr.ecr.us-east-1.amazonaws.com", "role_arn": f"arn:aws:iam::{account}:role/ecr-pull"}
        for account in accounts
    ]
    with platform([{"region": "us-east-1"}, *registries], throttled=False) as world:
        done = world.once("--strict", "--log-level", "debug")
        assert done.exit_code == 0, done.stderr
        assert world.count("GetCallerIdentity") == 1
        assert world.count("AssumeRole") == world.count("GetAuthorizationToken") - 1 == len(registries)
        held = json.loads(world.config_file.read_text())["auths"]
        passwords = {host: base64.b64decode(entry["auth"]).decode().partition(":")[2] for host, entry in held.items()}
        # Whose token is whose: the stand-in has given each role keys of its own.
        fetched_by = {host: (world.front.book.principal_of(p) or "").split("/")[0] for host, p in passwords.items()}
        roles = {host: world.ecr.sts.who(access_key) for host, access_key in fetched_by.items()}
        (own,) = roles.keys() - {registry["host"] for registry in registries}
        assert roles == {own: BASE_KEY, **{registry["host"]: registry["role_arn"] for registry in registries}}
        assert sorted(login.host for login in world.front.logins if login.verdict == "ok") == sorted(held)
        secrets_seen.add(*secrets_of(world.ecr.book, world.ecr))
        outputs.keep("roles.stderr", done.stderr)
