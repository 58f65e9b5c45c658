"""The roof: commands, their options, and nothing else. A wing is loaded only when a command needs it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from . import __version__
from .core import wire

EXIT_DONE, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
WORKER = "worker"  # not for people: what the supervisor starts


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 something failed, 2 wrong settings or command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == [WORKER]:
        return _worker()
    options = _parser().parse_args(words)
    source = wire.Load(options.config, options.log_level, options.log_format)
    try:
        if options.command == "run":
            return _run(source)
        if options.command == "once":
            return _once(source, options)
        if options.command == "check":
            return _check(source, options)
        return _demo(options)
    except KeyboardInterrupt:
        return 130


def _worker() -> int:
    from . import logs
    from .job import worker

    try:
        return _end(worker.serve())
    except Exception as error:  # noqa: BLE001 - a traceback would show values, and one of them may be a token
        logs.get().error("worker_failed", reason="internal", error=logs.place_of(error))
        return _end(EXIT_FAILED)


def _run(source: wire.Load) -> int:
    from .daemon import supervisor

    # -P: the directory that the daemon happens to be started in is no place to import from.
    return supervisor.run(source, [sys.executable, "-P", "-m", "ecr_refresher", WORKER], os.environ)


def _once(source: wire.Load, options: argparse.Namespace) -> int:
    from . import logs
    from .job import once

    try:
        status, table, document = once.run(source, force=options.force, dry_run=options.dry_run, strict=options.strict)
    except Exception as error:  # noqa: BLE001 - a traceback would show values, and one of them may be a token
        logs.get().error("once_failed", reason="internal", error=logs.place_of(error))
        return _end(EXIT_FAILED)
    text = once.dump(document) if options.json else table
    if text:
        print(text, flush=True)  # noqa: T201 - standard output is for the command's result
    return _end(status)


def _check(source: wire.Load, options: argparse.Namespace) -> int:
    from . import logs
    from .job import doctor

    try:
        checked = doctor.run(source)
    except Exception as error:  # noqa: BLE001 - a traceback would show values, and one of them may be a token
        logs.get().error("check_failed", reason="internal", error=logs.place_of(error))
        return _end(EXIT_FAILED)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(checked.json() if options.json else checked.table(colour=colour), flush=True)  # noqa: T201 - the result
    return _end(checked.status)


def _demo(options: argparse.Namespace) -> int:
    from .standins import demo

    return demo.run([sys.executable, "-P", "-m", "ecr_refresher"], options.duration)


def _end(status: int) -> int:
    """End at once: a thread that still waits for a hung server must not hold up the process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", metavar="FILE", help="settings in YAML (default: $ECR_REFRESHER_CONFIG, or none)")
    common.add_argument("--log-level", choices=["debug", "info", "warning", "error"], help="default: info")
    common.add_argument("--log-format", choices=["json", "console"], help="default: json")
    parser = argparse.ArgumentParser(
        prog="ecr-refresher",
        description="Keeps the Amazon ECR logins of Airflow connections and Docker hosts fresh.",
        epilog="Exit status: 0 done, 1 something that was asked for failed, 2 wrong settings or command line.",
    )
    parser.add_argument("--version", action="version", version=f"ecr-refresher {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("run", parents=[common], help="the daemon", description=_RUN)
    once = commands.add_parser("once", parents=[common], help="one pass, then exit", description=_ONCE)
    once.add_argument("--force", action="store_true", help="fetch and write, however fresh what is there may be")
    once.add_argument("--dry-run", action="store_true", help="look, and say what would be written; changes nothing")
    once.add_argument("--strict", action="store_true", help="exit 1 for any failure, also one that does no harm yet")
    once.add_argument("--json", action="store_true", help="print the result as JSON")
    check = commands.add_parser("check", parents=[common], help="what is wrong, and how to mend it", description=_CHECK)
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    demo = commands.add_parser(
        "demo", parents=[common], help="the whole thing on embedded stand-ins", description=_DEMO
    )
    demo.add_argument(
        "--for", dest="duration", metavar="TIME", type=_seconds, help="end by itself, e.g. 90s; default: on Ctrl-C"
    )
    return parser


_RUN = (
    "Fetches tokens ahead of their expiry and brings them to Airflow and config.json, for ever. SIGTERM ends it, "
    "SIGHUP reloads the settings, SIGUSR1 fetches and writes everything now."
)
_ONCE = (
    "Looks at every slot, fetches a token if one needs it, and delivers it. Exits 0 with a warning if something failed "
    "but every required slot is good for 30 more minutes."
)
_CHECK = (
    "Tries every leg, from the settings to the engine, and says in a table what is wrong and how to mend it. Changes "
    "nothing, anywhere. Exits 1 if something failed."
)
_DEMO = "Runs the real daemon against stand-ins of ECR, a registry and Airflow; needs no AWS, Airflow or Docker."


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write it as 90s, 5m or 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
