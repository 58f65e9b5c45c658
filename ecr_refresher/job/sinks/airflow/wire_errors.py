"""What goes wrong between us and a server, as failures: names, connections, TLS, certificates."""

from __future__ import annotations

import contextlib
import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass

import urllib3
from urllib3 import exceptions

from ....core.model import Failed, Reason
from ....core.printable import printable

# Of TLS alerts that a server sends for a client's certificate, or for none.
_ALERTS_ON_CERTIFICATES = ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_")


@dataclass(frozen=True, slots=True)
class WireErrors:
    """The errors of requests to one server."""

    who: str
    proxy: str
    connect_s: float
    read_s: float
    shows_certificate: bool
    api_exception: type[Exception]  # the client's own

    @contextlib.contextmanager
    def named(self, url: str) -> Iterator[None]:
        """Raise the errors of the wire as ours. Their own texts may hold URLs and headers: none is passed on."""
        try:
            yield
        except self.api_exception as error:  # how the client wraps TLS trouble, and nothing else here
            cause = error.__context__
            raise self._tls(cause.args[0] if cause is not None and cause.args else None) from None
        except exceptions.SSLError as error:
            raise self._tls(error.args[0] if error.args else None) from None
        except ValueError:
            if not _is_url(url):
                raise Failed(Reason.INVALID, f"{self.who}: that is not a URL", "Correct url") from None
            message = f"{self.who} redirects, and its Location header is not a URL"  # urllib3 has looked at it
            raise Failed(Reason.INVALID, message, "Correct url, or the proxy that redirects") from None
        except (exceptions.HTTPError, OSError) as error:
            raise Failed(Reason.TRANSIENT, *self._trouble(error)) from None

    def _trouble(self, error: Exception) -> tuple[str, str]:
        unreachable = f"{self.who} can't be reached"
        match error:
            case exceptions.ProxyError():
                fix = "Correct HTTP_PROXY, HTTPS_PROXY or NO_PROXY, or repair the proxy"
                return f"{unreachable} through {self.proxy}", fix
            case exceptions.NameResolutionError():
                return f"{unreachable}: DNS does not know its host name", "Correct url, or the DNS of this host"
            case exceptions.NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
                return f"{unreachable}: connection refused", "Start Airflow's API server, or correct url"
            case exceptions.NewConnectionError():
                strerror = getattr(error.__cause__, "strerror", None) or "no connection"
                return f"{unreachable}: {strerror}", "Check the network between this host and Airflow"
            case exceptions.ConnectTimeoutError():
                fix = "Check the firewalls and routes between this host and Airflow"
                return f"{unreachable}: no connection within {self.connect_s:g} s", fix
            case exceptions.TimeoutError():
                return (
                    f"{self.who} did not answer within {self.read_s:g} s",
                    "Look into the load of Airflow's API server",
                )
            case exceptions.DecodeError():
                return f"{self.who} sent an answer that can't be unpacked", "Look into the proxy in front of it"
            case _:
                message = f"{self.who} cut the connection before its answer was complete"
                return message, "Look into the log of Airflow's API server, or of the proxy in front of it"

    def _tls(self, cause: object) -> Failed:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"{self.who}: its certificate is not trusted: {printable(cause.verify_message).rstrip('.')}"
            return Failed(Reason.INVALID, message, "Give its CA as ca_file, or renew the certificate")
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            message = f"{self.who} cut the connection in the middle of TLS"
            return Failed(Reason.TRANSIENT, message, "Look into the proxy or load balancer in front of Airflow")
        name = str(getattr(cause, "reason", None) or type(cause).__name__)
        if any(alert in name for alert in _ALERTS_ON_CERTIFICATES):
            message = f"{self.who} wants a client certificate that it trusts ({name})"
            fix = "Give client_cert and client_key" if not self.shows_certificate else "Renew or correct client_cert"
            return Failed(Reason.DENIED, message, fix)
        fix = "Check that https is spoken there; correct url or ca_file"
        if "HANDSHAKE_FAILURE" in name and not self.shows_certificate:
            fix = "Give client_cert and client_key if it wants a client certificate; else compare versions and ciphers"
        return Failed(Reason.INVALID, f"{self.who}: TLS failed ({name})", fix)


def check_pair(who: str, cert: str, key: str | None) -> None:
    """Raise Failed where no client certificate can be had from these files. They are opened again for each connection.

    A key with a passphrase is refused: OpenSSL would ask for it on the terminal.
    """
    try:
        for file in (cert, key or cert):
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise Failed(
                    Reason.INVALID, f"{who}: {file} is not a regular file", "Correct client_cert or client_key"
                )
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError:
        message = f"{who}: {cert} and {key or 'the key in it'} are no certificate with its unencrypted key"
        raise Failed(Reason.INVALID, message, "Correct client_cert or client_key (PEM)") from None
    except OSError as error:
        message = f"{who}: {error.filename or cert} can't be read: {error.strerror}"
        raise Failed(Reason.MISSING, message, "Mount the file, or correct client_cert or client_key") from None


def _is_url(url: str) -> bool:
    try:
        return bool(urllib3.util.parse_url(url).host)
    except ValueError:
        return False
