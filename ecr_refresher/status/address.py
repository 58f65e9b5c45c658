"""Where the daemon listens: at --url, or at the address in the daemon's own settings.

Loading the whole settings takes a second, so this reads only ECR_REFRESHER_LISTEN and the file's `server` section.
The daemon itself reports what is wrong with them.
"""

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl

DEFAULT = "127.0.0.1:9719"
FILE_MAX = 1 << 20  # bytes


class StatusError(Exception):
    """What failed, and how to fix it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(f"{message}. {fix}")


class BadAddress(StatusError):
    """The command line or the settings hold no usable address."""


class Address(NamedTuple):
    """Where to ask. For https, a `certificate` is trusted and no other; else the CA in a file, or the system's CAs."""

    host: str
    port: int
    scheme: str = "http"
    prefix: str = ""  # the path that the daemon's pages are under
    ca: str | None = None
    certificate: str | None = None

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def trust(self) -> "ssl.SSLContext":
        """For https. Raises BadAddress if the file can't be read."""
        import ssl

        try:
            if self.certificate is None:
                return ssl.create_default_context(cafile=self.ca)
            own, end, _ = _read(self.certificate).partition("-----END CERTIFICATE-----")
            context = ssl.create_default_context(cadata=own + end)
        except (OSError, ValueError) as error:
            message = f"cannot read the certificate {self.certificate or self.ca} ({type(error).__name__})"
            raise BadAddress(message, "Name the CA of the daemon's certificate with --ca") from None
        # Nobody else has its key. Its name is no help: it may name a service, while we ask 127.0.0.1.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def find(url: str | None, ca: str | None, config: str | None, environ: Mapping[str, str]) -> Address:
    """Where to ask. Raises BadAddress."""
    if url is not None:
        return _of_url(url, ca)
    server = _server_section(config or environ.get("ECR_REFRESHER_CONFIG"))
    listen = environ.get("ECR_REFRESHER_LISTEN", "").strip() or server.get("listen") or DEFAULT
    host, port = _split(listen, None, f"the listen address {listen!r} is not valid")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened at here
    if ca is not None:
        return Address(host, port, "https", ca=ca)
    if (certificate := server.get("tls_cert")) is None:
        return Address(host, port)
    expanded = os.path.expanduser(os.path.expandvars(certificate))  # as the daemon reads it
    return Address(host, port, "https", certificate=expanded)


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
    return Address(host, port, scheme, prefix, ca)


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
