"""What goes wrong between us and a server, as failures: proxies, names, connections, TLS, certificates."""

import re
import ssl
from urllib.parse import urlsplit

from urllib3 import exceptions

from ...core.model import Failed, Reason
from ...core.printable import printable
from .proxies import origin, proxy_for
from .trust import Trust

# Of TLS alerts that a server sends for a client's certificate, or for none.
_ALERTS_ON_CERTIFICATES = ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_")


class Silent(Failed):
    """The server took the request, and did not answer in time."""


def failure(error: Exception, url: str, who: str, trust: Trust, connect_s: float, read_s: float) -> Failed:
    """Name the step that failed; `who` names the server. The error's text may hold URLs and headers: it is left out."""
    match error:
        case exceptions.SSLError():
            return _tls(error.args[0] if error.args else None, who, trust)
        case exceptions.ProxyError():
            return _proxy(str(error.original_error), url)
        case ValueError():  # urllib3's LocationValueError is one
            message = f"the address of {who}, a header for it, or the Location that it redirects to is malformed"
            return Failed(Reason.INVALID, message, "Correct the URL in the settings, or the proxy that redirects")
        case exceptions.NameResolutionError():
            message = f"no connection to {who}: DNS knows no {urlsplit(url).hostname}"
            fix = "Check the spelling of the host and its region, and this machine's DNS"
            return Failed(Reason.TRANSIENT, message, fix)
        case exceptions.NewConnectionError():
            why = (getattr(error.__cause__, "strerror", None) or "refused or no route").lower()
        case exceptions.ConnectTimeoutError():
            why = f"no answer within {connect_s:g} s"
        case exceptions.TimeoutError():
            message = f"{who} took the request, and did not answer within {read_s:g} s"
            return Silent(Reason.TRANSIENT, message, "See the load of that server, and the network in between")
        case _:
            message = f"the connection to {who} broke before its answer was complete ({type(error).__name__})"
            fix = "See the log of that server or of the proxy in between, and the network; it is tried again"
            return Failed(Reason.TRANSIENT, message, fix)
    fix = "Check its address, that it is up, DNS, security groups, NetworkPolicies, VPC endpoints and HTTPS_PROXY"
    return Failed(Reason.TRANSIENT, f"no connection to {who}: {why}", fix)


def _proxy(original: str, url: str) -> Failed:
    host, proxy = urlsplit(url).hostname, f"the proxy {origin(proxy_for(url) or '')}"
    refused = re.search(r"Tunnel connection failed: (\d{3})", original)
    if refused and refused[1] == "407":
        return Failed(Reason.DENIED, f"{proxy} wants another login (407)", "Correct the login in HTTPS_PROXY")
    why = f"answered {refused[1]} to the wish to reach {host}" if refused else "can't be reached"
    return Failed(Reason.TRANSIENT, f"{proxy} {why}", f"Correct HTTPS_PROXY or HTTP_PROXY, or name {host} in NO_PROXY")


def _tls(cause: object, who: str, trust: Trust) -> Failed:
    what = f"TLS with {who} failed"
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = printable(cause.verify_message)[:200].rstrip(".")
        fix = trust.fix
        if "expired" in said or "not yet valid" in said:
            fix = "Renew that certificate, or set this machine's clock right"
        elif "ismatch" in said:
            fix = "Correct the address, or give the server a certificate for this name"
        message = f"{what}: its certificate is not trusted here ({said}); trusted are {trust}"
        return Failed(Reason.INVALID, message, fix)
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        message = f"{what}: the connection was cut in the middle"
        return Failed(Reason.TRANSIENT, message, "See the proxy or load balancer in between")
    name = re.sub(r"\W", "", str(getattr(cause, "reason", None) or type(cause).__name__))
    if any(alert in name for alert in _ALERTS_ON_CERTIFICATES):
        fix = "Renew or correct client_cert" if trust.shown else "Give client_cert and client_key"
        return Failed(Reason.DENIED, f"{what}: it wants a client certificate that it trusts ({name})", fix)
    fix = "Check that https is spoken there, the address, and ca_file"
    if "HANDSHAKE_FAILURE" in name and not trust.shown:
        fix = "Give client_cert and client_key if it wants a client certificate; else compare versions and ciphers"
    return Failed(Reason.INVALID, f"{what} ({name})", fix)
