"""Where the daemon listens: at --url, or at the address in the daemon's own settings.

Loading the whole settings takes a second, so this reads only ECR_REFRESHER_LISTEN and the file's `server` section.
The daemon itself reports what is wrong with them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

DEFAULT = "127.0.0.1:9719"
FILE_MAX = 1 << 20  # bytes


class StatusError(Exception):
    """What failed, and how to fix it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(f"{message}. {fix}")


class BadAddress(StatusError):
    """The command line or the settings hold no usable address."""


class Trust:
    """What to trust for https: the CA in a file, or one certificate and no other; by default the system's CAs."""

    def __init__(self, ca: str | None = None, certificate: str | None = None) -> None:
        self._ca, self._certificate = ca, certificate

    def context(self) -> ssl.SSLContext:
        """Raises BadAddress if the file can't be read."""
        import ssl

        try:
            if self._certificate is None:
                return ssl.create_default_context(cafile=self._ca)
            own, end, _ = _read(self._certificate).partition("-----END CERTIFICATE-----")
            context = ssl.create_default_context(cadata=own + end)
        except (OSError, ValueError) as error:
            message = f"cannot read the certificate {self._certificate or self._ca} ({type(error).__name__})"
            raise BadAddress(message, "Name the CA of the daemon's certificate with --ca") from None
        # Nobody else has its key. Its name is no help: it may name a service, while we ask 127.0.0.1.
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
        return f"{'http' if self.trust is None else 'https'}://{self.authority}{self.prefix}"


def find(url: str | None, ca: str | None, config: str | None, environ: Mapping[str, str]) -> Address:
    """Where to ask. Raises BadAddress."""
    if url is not None:
        return _of_url(url, ca)
    server = _server_section(config or environ.get("ECR_REFRESHER_CONFIG"))
    listen = environ.get("ECR_REFRESHER_LISTEN", "").strip() or server.get("listen") or DEFAULT
    host, port = _split(listen, None, f"the listen address {listen!r} is not valid")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened at here
    certificate = server.get("tls_cert")
    if ca is not None:
        return Address(host, port, Trust(ca))
    return Address(host, port, None if certificate is None else Trust(certificate=_expanded(certificate)))


def _expanded(path: str) -> str:
    """The path with `~` and variables expanded, as the daemon reads it."""
    return os.path.expanduser(os.path.expandvars(path))


def _of_url(url: str, ca: str | None) -> Address:
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    prefix = f"/{path}".rstrip("/")
    # The message does not repeat the URL: it may hold a password.
    message = "--url is not a URL of the daemon"
    if scheme not in ("http", "https") or not rest or "@" in rest or not all("!" <= char <= "~" for char in prefix):
        raise BadAddress(message, "Write http://host:port or https://host:port, without a login")
    if scheme == "http" and ca is not None:
        raise BadAddress("--ca is for https, and --url says http", "Leave out --ca, or write https://host:port")
    host, port = _split(authority, 443 if scheme == "https" else 80, message)
    return Address(host, port, Trust(ca) if scheme == "https" else None, prefix)


def _split(text: str, default: int | None, message: str) -> tuple[str, int]:
    """Split `host:port`, `[::1]:port` or `:port`; the port may be missing if there is a default."""
    host, _, port = text.rpartition(":")
    if default is not None and (not host or text.endswith("]")):
        host, port = text, str(default)
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise BadAddress(message, f"Write host:port, for example {DEFAULT}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _server_section(path: str | None) -> dict[str, str]:
    """The `server` section of a settings file. YAML is loaded only if there is one."""
    if not path:
        return {}
    fix = "Name the daemon's address with --url"
    try:
        text = _read(os.path.expanduser(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadAddress(f"cannot read the settings file {path} ({type(error).__name__})", fix) from None
    if "server" not in text:
        return {}
    import yaml

    try:
        settings = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - builds only strings
    except yaml.YAMLError:
        raise BadAddress(f"the settings file {path} is not valid YAML", fix) from None
    server = settings.get("server") if isinstance(settings, dict) else None
    found = server.items() if isinstance(server, dict) else ()
    return {key: value for key, value in found if isinstance(value, str) and value not in ("", "null", "~")}


def _read(path: str) -> str:
    """Read a text file. Raises OSError, also for what is no regular file: a pipe would block a health check."""
    with open(path, encoding="utf-8", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        return file.read(FILE_MAX)
