"""Settings from environment variables and the command line, laid over those of the file: these win.

A password or token in a variable is never read here; the settings only note which variable holds it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from ..problems import Place, Problems
from .yaml_file import Tree

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

# A login in the environment replaces the file's: what of the file goes when these are set.
_TOKEN_KEYS = ("token_file", "token_env")
_PASSWORD_KEYS = ("password_file", "password_env")
_REPLACED = {
    "username": _TOKEN_KEYS,
    "password_env": (*_PASSWORD_KEYS, *_TOKEN_KEYS),
    "password_file": (*_PASSWORD_KEYS, *_TOKEN_KEYS),
    "token_env": ("username", *_PASSWORD_KEYS, *_TOKEN_KEYS),
    "token_file": ("username", *_PASSWORD_KEYS, *_TOKEN_KEYS),
}

# What Kubernetes puts into every pod beside a Service named ecr-refresher (kubernetes/kubernetes#35189).
_SERVICE_LINK = re.compile(r"ECR_REFRESHER(_\w+)?_(SERVICE_HOST|SERVICE_PORT.*|PORT(_.*)?)")


def lay_over(tree: dict[str, Tree], environ: Mapping[str, str], problems: Problems) -> None:
    """Set what the environment says; errors will name the variable. A variable that is empty counts as not set."""
    given = {name: environ[PREFIX + name] for name in KEYS if environ.get(PREFIX + name, "").strip()}
    for section in ("airflow", "docker"):
        _lay_over_entry(tree, section, given, problems)
    for name, value in given.items():
        place = KEYS[name]
        if place[0] in ("server", "log"):
            lay_over_one(tree, place, value, PREFIX + name, problems)
        elif place == ("registries",):
            tree["registries"] = value
            problems.show_as(place, PREFIX + name, whole=True)


def lay_over_one(tree: dict[str, Tree], place: Place, value: str, source: str, problems: Problems) -> None:
    """Set one key of a section; errors will name its source."""
    section, key = str(place[0]), str(place[1])
    if tree.get(section) is None:
        tree[section] = {}
    keys = tree[section]
    if isinstance(keys, dict):
        keys[key] = value
        problems.show_as(place, source, whole=True)


def _lay_over_entry(tree: dict[str, Tree], section: str, given: Mapping[str, str], problems: Problems) -> None:
    """Set keys of the one Airflow or docker entry; make one where the file has none."""
    names = [name for name in given if KEYS[name][0] == section]
    entries = tree.setdefault(section, []) if names else None
    if not isinstance(entries, list):
        return
    if len(entries) > 1:
        for name in names:
            problems.error(
                (PREFIX + name,),
                f"the file has {len(entries)} '{section}' entries, so this is meant for none; put it into the file",
            )
        return
    if not entries:
        entries.append({})
        problems.show_as((section, 0), PREFIX + names[0], whole=True)
        for name, place in KEYS.items():  # what is missing is missing in the environment
            if place[0] == section:
                problems.show_as((section, 0, place[1]), PREFIX + name, whole=True)
    entry = entries[0]
    if isinstance(entry, dict):
        for key in {key for name in names for key in _REPLACED.get(KEYS[name][1], ())}:
            entry.pop(key, None)
        for name in names:
            key = KEYS[name][1]
            entry[key] = PREFIX + name if name in _SECRET else given[name]
            problems.show_as((section, 0, key), PREFIX + name, whole=True)


def unknown(environ: Mapping[str, str], used: set[str]) -> Iterator[str]:
    """Warn of variables that look like ours and are not; `used` are those that the settings themselves name."""
    strangers = sorted(name for name in environ if name.startswith(PREFIX) and name not in used.union(_KNOWN))
    links = [name for name in strangers if _SERVICE_LINK.fullmatch(name)]
    for name in strangers:
        if name not in links:
            yield f"{name}: unknown variable, ignored; {_mend(name)}"
    if links:
        others = f" and {len(links) - 1} more" if len(links) > 1 else ""
        yield (
            f"{links[0]}{others}: ignored, since Kubernetes sets such variables for a Service of this name; "
            "enableServiceLinks: false in the pod keeps them out"
        )


def _mend(name: str) -> str:
    # Without the prefix that all share: it alone would make any two of them alike.
    close = difflib.get_close_matches(name.removeprefix(PREFIX), [*KEYS, "CONFIG"], 1)
    return f"did you mean '{PREFIX}{close[0]}'?" if close else "docs/settings.md lists those there are"
