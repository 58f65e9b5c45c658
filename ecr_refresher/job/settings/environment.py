"""Settings from environment variables and the command line, laid over those of the file: these win.

A password or token in a variable is never read here; the settings only note which variable holds it.
"""

import difflib
import re
from collections.abc import Iterator, Mapping

from ...core.printable import is_utf8
from .problems import Problem, Problems, SettingsError, Tree

PREFIX = "ECR_REFRESHER_"
CONFIG = f"{PREFIX}CONFIG"

# variable -> section and key
KEYS = {
    "REGISTRIES": ("registries",),
    "AIRFLOW_URL": ("airflow", "url"),
    "AIRFLOW_USERNAME": ("airflow", "username"),
    "AIRFLOW_PASSWORD": ("airflow", "password_env"),
    "AIRFLOW_PASSWORD_FILE": ("airflow", "password_file"),
    "AIRFLOW_TOKEN": ("airflow", "token_env"),
    "AIRFLOW_TOKEN_FILE": ("airflow", "token_file"),
    "AIRFLOW_CONNECTION": ("airflow", "connections"),
    "DOCKER_CONFIG": ("docker", "config_file"),
    "DOCKER_ENGINE": ("docker", "engine"),
    "LISTEN": ("server", "listen"),
    "LOG_LEVEL": ("log", "level"),
    "LOG_FORMAT": ("log", "format"),
}
_KNOWN = (CONFIG, *(PREFIX + name for name in KEYS))
_SECRET = ("AIRFLOW_PASSWORD", "AIRFLOW_TOKEN")

# A login in the environment replaces the file's: the keys that are dropped from the file when these are set.
_PASSWORD, _TOKEN = ("password_file", "password_env"), ("token_file", "token_env")
_OTHERS = (*_TOKEN, "client_id", "client_secret_file", "client_secret_env")
_REPLACED = {
    "username": _OTHERS,
    **dict.fromkeys(_PASSWORD, (*_PASSWORD, *_OTHERS)),
    **dict.fromkeys(_TOKEN, ("username", *_PASSWORD, *_OTHERS)),
}

# What this reads itself, or by the libraries of AWS, Docker and Kubernetes.
_READ = re.compile(
    rf"{PREFIX}.*|AWS_.*|DOCKER_.*|HOME|KUBECONFIG|REGISTRY_AUTH_FILE|STATE_DIRECTORY|XDG_\w+"
    r"|(?i:https?|all|no)_(?i:proxy)"
)

# What Kubernetes puts into every pod beside a Service named ecr-refresher (kubernetes/kubernetes#35189).
_SERVICE_LINK = re.compile(r"ECR_REFRESHER(_\w+)?_(SERVICE_HOST|SERVICE_PORT.*|PORT(_.*)?)")


def refuse_other_bytes(environ: Mapping[str, str]) -> None:
    """Refuse variables that are not UTF-8: settings, reports and logs could not show them. Raises SettingsError."""
    wrong = sorted(name for name in environ if _READ.fullmatch(name) and not is_utf8(environ[name]))
    if wrong:
        fix = "Write it in UTF-8, and rename files and directories whose names are not"
        raise SettingsError([Problem(name, "is not UTF-8 text", fix) for name in wrong])


def lay_over(problems: Problems, environ: Mapping[str, str], options: Mapping[tuple[str, str], str | None]) -> None:
    """Set what the environment says, then the options. An empty variable counts as not set."""
    given = {name: environ[PREFIX + name] for name in KEYS if environ.get(PREFIX + name, "").strip()}
    for section in ("airflow", "docker"):
        if names := [name for name in given if KEYS[name][0] == section]:
            _lay_over_entry(section, names, given, problems)
    for name in ("REGISTRIES", "LISTEN", "LOG_LEVEL", "LOG_FORMAT"):
        if name in given:
            _set(problems, KEYS[name], given[name], PREFIX + name)
    for place, value in options.items():
        if value is not None:
            _set(problems, place, value, f"--{'-'.join(place)}")


def _set(problems: Problems, place: tuple[str, ...], value: str, source: str) -> None:
    *sections, key = place
    keys: Tree = problems.tree
    for section in sections:
        if problems.tree.get(section) is None:
            problems.tree[section] = {}
        keys = problems.tree[section]
    if isinstance(keys, dict):
        keys[key], problems.sources[place] = value, source


def _lay_over_entry(section: str, names: list[str], given: Mapping[str, str], problems: Problems) -> None:
    """Set keys of the only `airflow` or `docker` entry; make one where the file has none."""
    written = problems.tree.get(section)
    entries = written if isinstance(written, list) else [written]
    if len(entries) > 1:
        for name in names:
            what = f"the file has {len(entries)} '{section}' entries, and this sets none of them"
            problems.add(PREFIX + name, what, "Put it into the file")
        return
    entry: Tree = entries[0] if entries else None
    if written in (None, []):
        entry = problems.tree[section] = {}
        problems.sources[section,] = PREFIX + names[0]
        problems.sources |= {
            (section, 0, place[1]): PREFIX + name for name, place in KEYS.items() if place[0] == section
        }
    if isinstance(entry, dict):
        for key in {key for name in names for key in _REPLACED.get(KEYS[name][1], ())}:
            entry.pop(key, None)
        for name in names:
            entry[KEYS[name][1]] = PREFIX + name if name in _SECRET else given[name]
            problems.sources[section, 0, KEYS[name][1]] = PREFIX + name


def unknown(environ: Mapping[str, str], used: set[str]) -> Iterator[Problem]:
    """Warn of variables that look like ours and are not; `used` are those that the settings themselves name."""
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in used.union(_KNOWN))
    links = [name for name in strangers if _SERVICE_LINK.fullmatch(name)]
    for name in strangers:
        if name not in links:
            # Without the prefix that all share: it alone would make any two of them alike.
            close = difflib.get_close_matches(name.removeprefix(PREFIX), [*KEYS, "CONFIG"], 1)
            fix = f"Did you mean '{PREFIX}{close[0]}'?" if close else "See docs/settings.md for the known ones"
            yield Problem(name, "unknown variable, ignored", fix)
    if links:
        others = f" and {len(links) - 1} more" if len(links) > 1 else ""
        what = "ignored, because Kubernetes sets such variables for a Service of this name"
        yield Problem(f"{links[0]}{others}", what, "Set enableServiceLinks: false in the pod to keep them out")
