"""What settings depend on: this user's home directory, and the settings of the AWS, Docker and Podman tools."""

import configparser
import contextlib
import hashlib
import json
import os
import pwd
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ...core.printable import is_utf8
from . import bounded_file
from .problems import Wrong, quoted

NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([^}]*)\})")


class Surroundings:
    """The environment of one user."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def expanded(self, path: str) -> str:
        """The path from the root on, with `~`, `$NAME` and `${NAME}` expanded; the disk is not asked.

        Raises Wrong where a variable is not set, or a home directory is not known.
        """
        path = _VARIABLE.sub(self._value, path)
        if path == "~" or path.startswith("~/"):
            path = (self.home() or "~") + path[1:]
        path = os.path.expanduser(path)
        if path.startswith("~"):
            raise Wrong("is in a home directory that is not known", "Write the path from the root on")
        return os.path.abspath(path)

    def _value(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        shown = f"${name}" if name.isupper() else "a variable"  # a secret may have a $ in it
        if not (value := self._environ.get(name, "")):
            raise Wrong(f"has {shown} in it, which is not set", "Set it, or write the path out")
        if not is_utf8(value):
            raise Wrong(f"has {shown} in it, which is not UTF-8 text", "Write that in UTF-8")
        return value

    def home(self) -> str | None:
        if self._environ.get("HOME"):
            return self._environ["HOME"]
        try:
            return pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:  # a container's user without an entry
            return None

    def docker_config(self) -> str | None:
        """The file that `podman login` or `docker login` would write for this user; None without a home."""
        if given := self._environ.get("REGISTRY_AUTH_FILE"):
            return os.path.abspath(given)
        home = self.home()
        directory = self._environ.get("DOCKER_CONFIG") or (home and os.path.join(home, ".docker"))
        return os.path.join(os.path.abspath(directory), "config.json") if directory else None

    def engine(self) -> tuple[str, dict[str, str]]:
        """Where the `docker` command finds its engine: its URL, and the files of its TLS by the settings' keys.

        As the command does: `$DOCKER_HOST`, else the context of `$DOCKER_CONTEXT` or of its own config.json, else the
        default socket.
        """
        docker = self._environ.get("DOCKER_CONFIG") or os.path.join(self.home() or "/", ".docker")
        if host := self._environ.get("DOCKER_HOST"):
            tls = self._environ.get("DOCKER_CERT_PATH") or docker
            return host, _tls_in(tls) if self._environ.get("DOCKER_TLS_VERIFY") else {}
        name = self._environ.get("DOCKER_CONTEXT") or _json_in(docker, "config.json").get("currentContext") or "default"
        if name == "default":
            return "unix:///var/run/docker.sock", {}
        key = hashlib.sha256(str(name).encode()).hexdigest()
        try:
            host = _json_in(docker, "contexts", "meta", key, "meta.json")["Endpoints"]["docker"]["Host"]
        except (KeyError, TypeError):
            what = f"is that of the docker context {quoted(str(name))}, which has no address"
            raise Wrong(what, "Write the engine's address") from None
        tls = os.path.join(docker, "contexts", "tls", key, "docker")
        return str(host), _tls_in(tls) if os.path.isdir(tls) else {}

    def pod_namespace(self) -> str | None:
        """The namespace of the pod that this runs in; None outside of one."""
        try:
            return bounded_file.read(NAMESPACE_FILE, most=256).decode().strip() or None
        except (OSError, ValueError):
            return None

    def state_directory(self) -> str | None:
        """Where state outlives a restart: systemd's directory for the service, else this user's own, if any."""
        if given := self._environ.get("STATE_DIRECTORY", "").split(":")[0]:
            return os.path.abspath(given)
        home, above = self.home(), self._environ.get("XDG_STATE_HOME")
        if not above or not above.startswith("/"):
            above = home and os.path.join(home, ".local", "state")
        return os.path.join(os.path.abspath(above), "ecr-refresher") if above else None

    def aws_region(self, profile: str | None = None) -> tuple[str, str]:
        """Where the AWS region is set, and the region, empty where it is not. A profile's own comes first."""
        file = self._environ.get("AWS_CONFIG_FILE") or os.path.join(self.home() or "/", ".aws", "config")
        file = os.path.abspath(os.path.expanduser(file))
        if profile is not None and (region := _region_in(file, profile)):
            return file, region
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            if self._environ.get(name, "").strip():
                return name, self._environ[name].strip()
        # botocore, which finds the credentials, takes them in this order.
        profile = self._environ.get("AWS_DEFAULT_PROFILE") or self._environ.get("AWS_PROFILE") or "default"
        return file, _region_in(file, profile)


def _tls_in(directory: str) -> dict[str, str]:
    return {key: os.path.join(directory, f"{key[4:]}.pem") for key in ("tls_ca", "tls_cert", "tls_key")}


def _json_in(*path: str) -> dict[str, Any]:
    """A JSON object of the docker command; empty where there is none."""
    try:
        found = json.loads(bounded_file.read(os.path.join(*path), most=1 << 20))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _region_in(file: str, profile: str) -> str:
    """The region of a profile in AWS's config file, without the 0.2 s that botocore takes to load."""
    parser = configparser.RawConfigParser(strict=False, default_section="")
    with contextlib.suppress(configparser.Error, OSError, ValueError):  # botocore says later what is wrong
        parser.read_string(bounded_file.read(file, most=4 << 20).decode())
    names = [["profile", profile], *([["default"]] if profile == "default" else [])]
    for section in parser.sections():
        with contextlib.suppress(ValueError):
            if shlex.split(section) in names and (region := parser.get(section, "region", fallback="").strip()):
                return region
    return ""
