"""Where this user's files are: the home directory, docker's config.json, AWS's config with the default region."""

from __future__ import annotations

import configparser
import os
import pwd
import shlex
from collections.abc import Mapping


class Paths:
    """Paths as this environment means them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def absolute(self, path: str | None) -> str | None:
        return None if path is None else self.expanded(path)

    def expanded(self, path: str) -> str:
        """The path with `~` in it expanded, from the root on; links are left as they are."""
        if path == "~" or path.startswith("~/"):
            path = (self.home() or "~") + path[1:]
        return os.path.abspath(os.path.expanduser(path))

    def home(self) -> str | None:
        if self._environ.get("HOME"):
            return self._environ["HOME"]
        try:
            return pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:  # a container's user without an entry
            return None

    def docker_config(self) -> str | None:
        """The `config.json` that `docker login` would write for this user; None without a home."""
        directory = self._environ.get("DOCKER_CONFIG")
        if not directory:
            home = self.home()
            directory = home and os.path.join(home, ".docker")
        return directory and os.path.join(self.expanded(directory), "config.json")

    def state_directory(self) -> str | None:
        """Where state outlives a restart: systemd's own directory for the service, else this user's; None without."""
        given = self._environ.get("STATE_DIRECTORY", "").split(":")[0]
        if given:
            return self.expanded(given)
        above = self._environ.get("XDG_STATE_HOME", "")
        home = self.home()
        if not above.startswith("/"):
            above = os.path.join(home, ".local", "state") if home else ""
        return os.path.join(self.expanded(above), "ecr-refresher") if above else None

    def aws_region(self, profile: str | None = None) -> tuple[str, str]:
        """Where the AWS region is set, and the region; both empty where it is not. A profile's own comes first."""
        file = self.expanded(self._environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
        if profile is not None and (region := _region_in(file, profile)):
            return file, region
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            if self._environ.get(name, "").strip():
                return name, self._environ[name].strip()
        # In this order botocore takes them, which finds the credentials.
        profile = self._environ.get("AWS_DEFAULT_PROFILE") or self._environ.get("AWS_PROFILE") or "default"
        return file, _region_in(file, profile)


def _region_in(file: str, profile: str) -> str:
    """The region of a profile in AWS's config file. Read without botocore, which takes 0.2 s to load."""
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return ""  # botocore will tell when it is asked for credentials
    for section in parser.sections():
        try:
            words = shlex.split(section)
        except ValueError:
            continue
        if words == ["profile", profile] or (words == ["default"] and profile == "default"):
            region = parser.get(section, "region", fallback="").strip()
            if region:
                return region
    return ""
