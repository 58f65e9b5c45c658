"""Where the daemon listens: as --url says, or as the daemon's own settings do.

Those are read without the settings' reader, which costs a second: ECR_REFRESHER_LISTEN, and of a settings file that
has one its `server` section. What is wrong in them is the daemon's to say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from typing import Any

DEFAULT = "127.0.0.1:9719"


class BadAddress(Exception):
    """The command line or the settings name no address; the text says which and how to mend it."""


class Trust:
    """Whom to trust for https: a CA, or that one certificate which the daemon itself shows; else the system's."""

    def __init__(self, ca: str | None = None, certificate: str | None = None) -> None:
        self._ca, self._certificate = ca, certificate

    def context(self) -> ssl.SSLContext:
        """What ssl needs. Raises BadAddress where a file can't be read."""
        import ssl

        try:
            if self._certificate is None:
                return ssl.create_default_context(cafile=self._ca)
            with open(self._certificate) as file:
                own, end, _ = file.read().partition("-----END CERTIFICATE-----")
            context = ssl.create_default_context(cadata=own + end)
        except (OSError, ValueError) as error:
            file_name = self._certificate or self._ca
            mend = "name the CA of the daemon's certificate with --ca"
            raise BadAddress(f"{file_name}: cannot be read as a certificate ({type(error).__name__}); {mend}") from None
        # Nobody else can show it, whatever names it carries: it may name a service, and we ask 127.0.0.1.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


class Address:
    """Where to ask; `trust` is None for plain http."""

    def __init__(self, host: str, port: int, trust: Trust | None = None, prefix: str = "") -> None:
        self.host, self.port, self.trust, self.prefix = host, port, trust, prefix

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http{'' if self.trust is None else 's'}://{self.authority}{self.prefix}"


def find(url: str | None, ca: str | None, config: str | None, environ: Mapping[str, str]) -> Address:
    """Where to ask. Raises BadAddress."""
    if url is not None:
        return _of_url(url, ca)
    server = _server_section(config or environ.get("ECR_REFRESHER_CONFIG"))
    listen = environ.get("ECR_REFRESHER_LISTEN", "").strip() or server.get("listen") or DEFAULT
    host, port = _split(listen, None, "the settings' listen address")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where others listen
    certificate = server.get("tls_cert")
    if certificate is None and ca is None:
        return Address(host, port)
    return Address(host, port, Trust(ca, os.path.expanduser(certificate) if certificate and ca is None else None))


def _of_url(url: str, ca: str | None) -> Address:
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https") or "@" in rest or not rest:
        raise BadAddress("--url: write http://host:port or https://host:port, without a login")
    if scheme == "http" and ca is not None:
        raise BadAddress("--ca: it is for https only, and --url says http")
    authority, _, path = rest.partition("/")
    host, port = _split(authority, 443 if scheme == "https" else 80, "--url")
    prefix = f"/{path}".rstrip("/")
    if not prefix.isascii() or not prefix.replace("/", "a").isprintable() or " " in prefix:
        raise BadAddress("--url: its path has characters that no path has")
    return Address(host, port, Trust(ca) if scheme == "https" else None, prefix)


def _split(text: str, port: int | None, where: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port`, `:port`; the port may be missing where there is a usual one."""
    host, _, written = text.rpartition(":")
    if port is not None and (not host or text.endswith("]")):
        host, written = text, str(port)
    if not (written.isascii() and written.isdigit() and int(written) <= 65535):
        raise BadAddress(f"{where}: write host:port, e.g. {DEFAULT}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(written)


def _server_section(path: str | None) -> dict[str, Any]:
    """The `server` section of a settings file, where it has one; YAML is loaded only then."""
    if not path:
        return {}
    mend = "say where the daemon listens with --url"
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadAddress(f"{path}: cannot be read ({type(error).__name__}); {mend}") from None
    if "server" not in text:
        return {}
    import yaml

    try:
        settings = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - texts only
    except yaml.YAMLError:
        raise BadAddress(f"{path}: is no YAML; `ecr-refresher once --dry-run` says where; {mend}") from None
    server = settings.get("server") if isinstance(settings, dict) else None
    return (
        {key: value for key, value in server.items() if isinstance(value, str) and value not in ("", "null", "~")}
        if isinstance(server, dict)
        else {}
    )
