"""The command line's grammar and its help: one screen a command, with examples. What commands do is in `cli`."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from . import __version__

PROG = "ecr-refresher"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "console")

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line; ends the process with status 2 and a message where it is wrong, with 0 after `--help`."""
    return parser(words[0] if words and words[0] in _COMMANDS else None).parse_args(words)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The grammar of the whole, or of one command alone, which is made faster."""
    top = argparse.ArgumentParser(
        prog=PROG,
        description="Keeps the Amazon ECR logins of Airflow connections and Docker hosts fresh.",
        epilog="Exit status: 0 done, 1 something that was asked for failed, 2 wrong settings or command line.\n"
        "`ecr-refresher COMMAND --help` explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    top.add_argument("--print-completion", action=_PrintCompletion, choices=["bash", "zsh", "tcsh"], help=_COMPLETION)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, prog=PROG)
    for name, add in _COMMANDS.items():
        if only in (None, name):
            add(commands)
    return top


_COMPLETION = 'print a completion script, for bash: eval "$(ecr-refresher --print-completion bash)"'


class _PrintCompletion(argparse.Action):
    """Prints a shell's completion script, and ends; the library for it is loaded only then."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        import shtab

        (commands,) = (action.choices for action in parser._actions if action.dest == "command")
        for command in dict(commands or {}).values():
            for action in command._actions:
                if action.metavar == "FILE":
                    action.complete = shtab.FILE
        print(shtab.complete(parser, str(given[1])))  # noqa: T201 - standard output is for the command's result
        parser.exit()


_Commands = argparse._SubParsersAction  # argparse has no public name for it


def _command(commands: _Commands[argparse.ArgumentParser], name: str, text: str, help: str) -> argparse.ArgumentParser:  # noqa: A002
    """A command with the options that all have; of `text` the first paragraph describes it, the rest are examples."""
    description, _, examples = text.partition("\n\n")
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--config", metavar="FILE", help="settings in YAML (default: $ECR_REFRESHER_CONFIG, or none)")
    command.add_argument("--log-level", choices=LEVELS, help="default: info")
    command.add_argument("--log-format", choices=FORMATS, help="default: json")
    return command


def _run(commands: _Commands[argparse.ArgumentParser]) -> None:
    _command(commands, "run", _RUN, "the daemon")


_RUN = """\
Fetches tokens ahead of their expiry and brings them to Airflow and config.json,
for ever. SIGTERM ends it, SIGHUP reloads the settings, SIGUSR1 fetches and
writes everything now.

examples:
  ecr-refresher run                          all settings from the environment
  ecr-refresher run --config settings.yaml
  ecr-refresher run --log-format console     logs for people
"""


def _once(commands: _Commands[argparse.ArgumentParser]) -> None:
    once = _command(commands, "once", _ONCE, "one pass, then exit")
    once.add_argument("--force", action="store_true", help="fetch and write, however fresh what is there may be")
    once.add_argument("--dry-run", action="store_true", help="look, and say what would be written; changes nothing")
    once.add_argument("--strict", action="store_true", help="exit 1 for any failure, also one that does no harm yet")
    once.add_argument("--json", action="store_true", help="print the result as JSON")


_ONCE = """\
Looks at every slot, fetches a token if one needs it, and delivers it. Exits 0
with a warning if something failed but every required slot is good for 30 more
minutes.

examples:
  ecr-refresher once                         for init containers and cron
  ecr-refresher once --dry-run               what would be written, and why
  ecr-refresher once --json --strict         for machines that want all or nothing
"""


def _check(commands: _Commands[argparse.ArgumentParser]) -> None:
    check = _command(commands, "check", _CHECK, "what is wrong, and how to mend it")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.add_argument("--reader", action="store_true", help="run where Airflow is: does it see what was delivered?")


_CHECK = """\
Tries every leg, from the settings to the engine, and says in a table what is
wrong and how to mend it. Changes nothing, anywhere. Exits 1 if something failed.

examples:
  ecr-refresher check
  ecr-refresher check --config settings.yaml --json
  ecr-refresher check --reader               on an Airflow worker: is it found there?
"""


def _status(commands: _Commands[argparse.ArgumentParser]) -> None:
    status = _command(commands, "status", _STATUS, "asks a running daemon how it is")
    status.add_argument("--live", action="store_true", help="ask only whether it is alive, in one line")
    status.add_argument("--url", metavar="URL", help="where it listens (default: as the settings say)")
    status.add_argument("--ca", metavar="FILE", help="whom to trust for https (default: its own certificate, if known)")
    status.add_argument("--json", action="store_true", help="print the daemon's /status")


_STATUS = """\
Asks a running daemon, and prints what each place holds, until when, what went
wrong last, and what comes next. Exits 1 if it is not ready (with --live: not
alive). Light enough for a container's health check.

examples:
  ecr-refresher status
  ecr-refresher status --url https://host:9719 --ca ca.pem
  ecr-refresher status --json | jq .slots
  HEALTHCHECK CMD ["ecr-refresher", "status", "--live"]
"""


def _cleanup(commands: _Commands[argparse.ArgumentParser]) -> None:
    cleanup = _command(commands, "cleanup", _CLEANUP, "remove old containers and images, once")
    cleanup.add_argument("--dry-run", action="store_true", help="say what would go, in order, and what stays and why")
    cleanup.add_argument("--json", action="store_true", help="print the result as JSON")


_CLEANUP = """\
Removes ended containers, and unused images while the disk is too full, by the
rules of `cleanup` in the settings; the least recently used images go first.
Needs the engine's socket. Exits 1 if the engine or its disk can't be seen.

examples:
  ecr-refresher cleanup --dry-run            what would go, what stays, and why
  ecr-refresher cleanup --config settings.yaml
  ecr-refresher cleanup --json | jq .removed
"""


def _config(commands: _Commands[argparse.ArgumentParser]) -> None:
    config = _command(commands, "config", _CONFIG, "the settings in effect, or their JSON Schema")
    config.add_argument("what", choices=["show", "schema"], help="the settings in effect, or what they may be")


_CONFIG = """\
Shows the settings in effect as a settings file, with remarks where each value
came from; of secrets only the place. Or the JSON Schema of that file, by which
editors complete and check it. Asks no network.

examples:
  ecr-refresher config show --config settings.yaml
  ecr-refresher config schema > ecr-refresher.schema.json
"""


def _iam_policy(commands: _Commands[argparse.ArgumentParser]) -> None:
    policy = _command(commands, "iam-policy", _IAM_POLICY, "a least-privilege IAM policy, as JSON")
    policy.add_argument("purpose", choices=["pull", "push"], help="what shall be allowed")
    policy.add_argument(
        "--repository",
        metavar="NAME",
        action="append",
        default=[],
        help="ARN or HOST/NAME, with * and ? for many; again for more",
    )
    policy.add_argument(
        "--assume-role", metavar="ARN", action="append", default=[], help="a role to take on; again for more"
    )
    policy.add_argument("--public", action="store_true", help="the login to ECR Public, too")
    policy.add_argument("--pull-through-cache", action="store_true", help="pull what is not in the cache yet")
    policy.add_argument("--create-repository", action="store_true", help="push to repositories that are not there yet")


_IAM_POLICY = """\
Prints a least-privilege IAM policy. Without --repository, --assume-role and
--public: what the daemon's identity needs for the registries of the settings.

examples:
  ecr-refresher iam-policy pull --config settings.yaml
  ecr-refresher iam-policy pull --repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/web_*
  ecr-refresher iam-policy push --create-repository \\
      --repository arn:aws:ecr:us-east-1:123456789012:repository/web_scraper
"""


def _demo(commands: _Commands[argparse.ArgumentParser]) -> None:
    demo = _command(commands, "demo", _DEMO, "the whole thing on embedded stand-ins")
    demo.add_argument(
        "--for", dest="duration", metavar="TIME", type=_seconds, help="end by itself, e.g. 90s; default: on Ctrl-C"
    )


_DEMO = """\
Runs the real daemon against stand-ins of ECR, a registry and Airflow; needs no
AWS, Airflow or Docker.

examples:
  ecr-refresher demo
  ecr-refresher demo --for 90s
"""


_COMMANDS = {
    "run": _run,
    "once": _once,
    "check": _check,
    "status": _status,
    "cleanup": _cleanup,
    "config": _config,
    "iam-policy": _iam_policy,
    "demo": _demo,
}


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write it as 90s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
