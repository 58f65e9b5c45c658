"""The command line: its commands, their options and their help, a screen each. What they do is in `cli`."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from . import __version__
from .core.printable import is_utf8

PROG = "ecr-refresher"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line. Ends the process: with status 2 and a message where it is wrong, with 0 after `--help`."""
    return parser(words[0] if words and words[0] in _COMMANDS else None).parse_args(words)


def parser(only: str | None = None, files: object = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of one, which takes less time to make. `files` is how shtab completes files."""
    top = argparse.ArgumentParser(
        prog=PROG,
        description="Keeps the Amazon ECR logins of Airflow connections, Docker hosts and Kubernetes fresh.",
        epilog="Exit status: 0 done, 1 something failed, 2 the settings or the command line are wrong.\n"
        "`ecr-refresher COMMAND --help` explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    top.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=["bash", "zsh", "tcsh"],
        help='print a completion script, for bash: eval "$(ecr-refresher --print-completion bash)"',
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, prog=PROG)
    for name, command in _COMMANDS.items():
        if only not in (None, name):
            continue
        description, _, examples = command.text.partition("\n\n")
        made = commands.add_parser(
            name,
            help=command.help,
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for option, about in (*_EVERYWHERE, *command.options):
            action: Any = made.add_argument(option, **about)
            if files and action.metavar == "FILE":
                action.complete = files
    return top


class _PrintCompletion(argparse.Action):
    """Prints a shell's completion script and ends. Its library is loaded only then."""

    def __call__(self, _parser: argparse.ArgumentParser, *given: object) -> None:
        import shtab

        top = parser(files=shtab.FILE)
        print(shtab.complete(top, str(given[1])))  # noqa: T201 - standard output is for the command's result
        top.exit()


def _text(text: str) -> str:
    if not is_utf8(text):
        raise argparse.ArgumentTypeError("is not UTF-8 text. Write it in UTF-8")
    return text


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration. Write 90s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


_Option = tuple[str, dict[str, Any]]


class _Command(NamedTuple):
    """A command; the first paragraph of `text` describes it, the others are examples."""

    help: str
    text: str
    options: tuple[_Option, ...] = ()


def _flag(name: str, help: str) -> _Option:  # noqa: A002 - argparse's word
    return name, {"action": "store_true", "help": help}


def _value(name: str, metavar: str, help: str, **more: object) -> _Option:  # noqa: A002 - argparse's word
    return name, {"metavar": metavar, "help": help, "type": _text, **more}


def _each(name: str, metavar: str, help: str) -> _Option:  # noqa: A002 - argparse's word
    return _value(name, metavar, f"{help}; repeat for more", action="append", default=[])


_JSON = _flag("--json", "print the result as JSON")
_EVERYWHERE: tuple[_Option, ...] = (
    _value("--config", "FILE", "settings in YAML (default: $ECR_REFRESHER_CONFIG, or none)"),
    ("--log-level", {"choices": ("debug", "info", "warning", "error"), "help": "default: info"}),
    ("--log-format", {"choices": ("json", "console"), "help": "default: json"}),
)
_COMMANDS = {
    "run": _Command(
        "the daemon",
        """\
Fetches each token well before the last one expires, and delivers it to
Airflow, Docker and Kubernetes. SIGTERM ends it, SIGHUP reloads the settings,
SIGUSR1 fetches and writes everything now.

examples:
  ecr-refresher run                          all settings from the environment
  ecr-refresher run --config settings.yaml
  ecr-refresher run --log-format console     logs for people
""",
    ),
    "once": _Command(
        "one pass, then exit",
        """\
Looks at every slot, fetches a token if one needs it, and delivers it. Exits 0
with a warning if something failed but every required slot holds a login for 30
more minutes.

examples:
  ecr-refresher once                         for init containers and cron
  ecr-refresher once --dry-run               what it would write, and why
  ecr-refresher once --json --strict         for scripts that want all or nothing
""",
        (
            _flag("--force", "fetch new tokens and write every slot, even if its login is fresh"),
            _flag("--dry-run", "print what would be written, and why; change nothing"),
            _flag("--strict", "exit 1 for any failure, even if it does no harm yet"),
            _JSON,
        ),
    ),
    "check": _Command(
        "what is wrong, and how to fix it",
        """\
Tries every step, from the settings to the engine, and says in a table what is
wrong and how to fix it. Changes nothing. Exits 1 if a step failed.

examples:
  ecr-refresher check
  ecr-refresher check --config settings.yaml --json
  ecr-refresher check --reader               on an Airflow worker: does a task find the logins?
""",
        (_JSON, _flag("--reader", "test only what a task reads; run it on an Airflow worker")),
    ),
    "status": _Command(
        "asks a running daemon how it is",
        """\
Asks a running daemon, and prints what each slot holds, until when, its last
error and its next step. Exits 1 if the daemon is not ready (with --live: not
alive). Light enough for a container's health check.

examples:
  ecr-refresher status
  ecr-refresher status --url https://host:9719 --ca ca.pem
  ecr-refresher status --json | jq .slots
  HEALTHCHECK CMD ["ecr-refresher", "status", "--live"]
""",
        (
            _flag("--live", "ask only whether it is alive, in one line"),
            _value(
                "--pause",
                "TIME",
                "for a container's health check: wait this long after a good answer, once the container is that old",
                type=_seconds,
                default=0.0,
            ),
            _value("--url", "URL", "where it listens (default: from the settings)"),
            _value("--ca", "FILE", "the CA to trust for https (default: the daemon's own certificate)"),
            _flag("--json", "print the daemon's /status"),
        ),
    ),
    "cleanup": _Command(
        "remove old containers and images, once",
        """\
Removes ended containers, and unused images while the disk is too full, by the
rules of `cleanup` in the settings. The least recently used images go first.
Needs the engine's socket. Exits 1 if it can't see the engine or its disk.

examples:
  ecr-refresher cleanup --dry-run            what would be removed, what stays, and why
  ecr-refresher cleanup --config settings.yaml
  ecr-refresher cleanup --json | jq .removed
""",
        (_flag("--dry-run", "print what would be removed, in order, and why the rest stays; remove nothing"), _JSON),
    ),
    "config": _Command(
        "the settings in effect, or their JSON Schema",
        """\
Shows the settings in effect as a settings file, and where each value came
from; secrets are masked. Or shows the JSON Schema of that file, with which
editors complete and check it. Uses no network.

examples:
  ecr-refresher config show --config settings.yaml
  ecr-refresher config schema > ecr-refresher.schema.json
""",
        (("what", {"choices": ["show", "schema"], "help": "the settings in effect, or their schema"}),),
    ),
    "iam-policy": _Command(
        "a least-privilege IAM policy, as JSON",
        """\
Prints a least-privilege IAM policy. Without --repository, --assume-role and
--public it is the policy that the daemon needs for the settings' registries.

examples:
  ecr-refresher iam-policy pull --config settings.yaml
  ecr-refresher iam-policy pull --repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/web_*
  ecr-refresher iam-policy push --create-repository \\
      --repository arn:aws:ecr:us-east-1:123456789012:repository/web_scraper
""",
        (
            ("purpose", {"choices": ["pull", "push"], "help": "what to allow"}),
            _each("--repository", "NAME", "ARN or HOST/NAME, with * and ? as wildcards"),
            _each("--assume-role", "ARN", "a role to assume"),
            _flag("--public", "also the login to ECR Public"),
            _flag("--pull-through-cache", "also pull images that are not in the cache yet"),
            _flag("--create-repository", "also create a repository by pushing to it"),
        ),
    ),
    "demo": _Command(
        "the daemon on built-in stand-ins",
        """\
Runs the real daemon against stand-ins of ECR, a registry and Airflow. Needs no
AWS, Airflow or Docker.

examples:
  ecr-refresher demo
  ecr-refresher demo --for 90s
""",
        (
            _value(
                "--for", "TIME", "end after this time, e.g. 90s (default: on Ctrl-C)", dest="duration", type=_seconds
            ),
        ),
    ),
}
