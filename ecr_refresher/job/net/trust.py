"""Whom TLS trusts, by one rule for every client: AWS, registries, Airflow, and the routes that `check` tries.

The first of these that is set names one PEM file, and its CAs alone are trusted:

1. `ca_file` of the entry in the settings;
2. for AWS's APIs and registries: AWS_CA_BUNDLE, then `ca_bundle` of the AWS profile;
3. REQUESTS_CA_BUNDLE.

Else the system's store is trusted, as OpenSSL finds it (SSL_CERT_FILE, SSL_CERT_DIR, its defaults). A machine without
such a store trusts the CAs of the certifi package.
"""

import os
import ssl
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ...core.model import Failed, Reason

_STORE = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Trust:
    """The CAs to trust: those of `file`, or the system's where it is None."""

    file: str | None = None
    named_by: str = ""  # the setting or variable that names the file
    store: tuple[str | None, str | None] = (None, None)  # SSL_CERT_FILE and SSL_CERT_DIR, in place of the system's own
    shown: tuple[str, str | None] | None = None  # files of the certificate and the key to show to the server
    fix: str = "Give its CA as ca_file, or in AWS_CA_BUNDLE; a proxy that opens TLS has a CA of its own"

    def __str__(self) -> str:
        if self.file is not None:
            return f"{self.file} ({self.named_by})"
        others = [f"{path} ({name})" for name, path in zip(_STORE, self.store, strict=True) if path]
        return " and ".join(["the system's CAs", *others])


def trust_for(
    ca_file: str | None = None,
    *,
    aws: bool = False,
    profile_bundle: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Trust:
    """The trust of one client; `ca_file` is its entry's, and `profile_bundle` its AWS profile's.

    Give `.file` to a library that takes a path (None: its default, the system's CAs), `context()` to any other. Raises
    Failed where a variable is empty, or the file can't be read.
    """
    named = [("ca_file", ca_file)]
    if aws:
        named += [("AWS_CA_BUNDLE", environ.get("AWS_CA_BUNDLE")), ("ca_bundle of the AWS profile", profile_bundle)]
    named += [("REQUESTS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE") or None)]
    for named_by, file in named:
        if file is not None:
            _check(file, named_by)
            return Trust(file, named_by)
    store, directory = (environ.get(name) or None for name in _STORE)
    if store:
        _check(store, _STORE[0])  # OpenSSL passes silently over a missing file
    return Trust(store=(store, directory))


def context(trust: Trust) -> ssl.SSLContext:
    """A TLS context with this trust; all who ask share it, since reading a store takes 20 ms. Raises Failed."""
    with _reading:
        return _context(trust)


_reading = threading.Lock()


@cache
def _context(trust: Trust) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=trust.file)
        directory = ssl.get_default_verify_paths().capath  # read later by OpenSSL, file by file
        if trust.file is None and not (made.get_ca_certs() or (directory and os.listdir(directory))):
            import certifi

            made.load_verify_locations(certifi.where())
        if trust.shown is not None:
            show(made, *trust.shown)
    except ssl.SSLError:
        message = f"the CA file {trust.file}, named by {trust.named_by}, holds no certificate"
        raise Failed(Reason.INVALID, message, f"Put the CA's PEM there, or correct {trust.named_by}") from None
    except OSError as error:
        raise _unreadable(trust.file or "of the system", trust.named_by, error.strerror) from None
    return made


def show(made: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Have the context show this client certificate. Raises Failed where none can be had from these files.

    A key with a passphrase is refused: OpenSSL would ask for it on the terminal.
    """
    fix = "Correct client_cert and client_key (PEM), or mount the files"
    try:
        for file in (certificate, key or certificate):
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise Failed(Reason.INVALID, f"the client certificate's {file} is not a regular file", fix)
        made.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError:
        message = f"the client certificate {certificate} can't be used with its key: no PEM pair, or an encrypted key"
        raise Failed(Reason.INVALID, message, fix) from None
    except OSError as error:
        message = f"the client certificate {error.filename or certificate} can't be read: {error.strerror}"
        raise Failed(Reason.MISSING, message, fix) from None


def _check(file: str, named_by: str) -> None:
    """Raise Failed unless it is a regular file that can be read; a pipe would block whoever opens it."""
    if not file:
        raise Failed(Reason.INVALID, f"{named_by} is empty", f"Unset {named_by}, or name a CA file in PEM format")
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        raise _unreadable(file, named_by, error.strerror) from None
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise _unreadable(file, named_by, f"it is {what}")
    if not os.access(file, os.R_OK):
        raise _unreadable(file, named_by, "permission denied")


def _unreadable(file: str, named_by: str, why: str | None) -> Failed:
    message = f"the CA file {file}, named by {named_by}, can't be read: {(why or 'unknown error').lower()}"
    return Failed(Reason.MISSING, message, f"Mount the file, or correct {named_by}")
