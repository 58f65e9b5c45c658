"""What the pages say of AWS: commands and options as in botocore's models, policies as the program prints them."""

from __future__ import annotations

import json
import shlex
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from ecr_refresher import options
from ecr_refresher.core.wire import Load
from ecr_refresher.job.aws.iam_policy import Wanted
from ecr_refresher.job.commands import documents

from .pages import Block, blocks, commands

# The command's own, which no service model has.
CUSTOM = {("ecr", "get-login-password"), ("sso", "login")}
GLOBAL = {"region", "profile", "cli-input-json", "query", "output"}


SESSION = botocore.session.get_session()
SERVICES = frozenset(SESSION.get_available_services())


def aws_commands(block: Block) -> list[list[str]]:
    """The words behind `aws` of each of its commands in a block, where they are calls of a service."""
    parts: list[list[str]] = [[]]
    for word in shlex.split(block.text.replace("\\\n", " ").replace("\n", " ; ")):
        if word in (";", "|", "&&", ">"):
            parts.append([])
        else:
            parts[-1].append(word)
    return [part[1:] for part in parts if part[:1] == ["aws"] and part[1] in SERVICES]


SHELL = [block for block in blocks("sh") if "aws " in block.text]


@pytest.mark.parametrize("block", SHELL, ids=[str(block) for block in SHELL])
def test_commands_of_aws_are_calls_with_their_own_options(block: Block) -> None:
    for service, operation, *words in aws_commands(block):
        if (service, operation) in CUSTOM:
            continue
        model = SESSION.get_service_model(service)
        by_name = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in by_name, f"aws {service} {operation}"
        shape: Any = model.operation_model(by_name[operation]).input_shape
        known = {xform_name(member, "-") for member in shape.members} | GLOBAL
        given = {word.removeprefix("--") for word in words if word.startswith("--")}
        assert given <= known, f"aws {service} {operation}"
        assert {xform_name(member, "-") for member in shape.required_members} <= given or "cli-input-json" in given


def test_commands_of_aws_are_found() -> None:
    found = [words[:2] for block in SHELL for words in aws_commands(block)]
    assert ["iam", "put-role-policy"] in found
    assert len(found) > 5


def test_the_policy_on_the_page_is_the_one_that_the_command_prints() -> None:
    command, policy = (block for block in blocks("sh", "json") if block.page == "docs/iam.md" and block.line < 35)
    ((*words,),) = commands(command.text)
    given = options.parse(words)
    printed = documents.policy(Load(), Wanted(given.purpose), given.repository, given.assume_role)
    assert printed.status == 0
    assert json.loads(policy.text) == json.loads(str(printed.page))
