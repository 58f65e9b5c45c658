"""How many bytes and seconds a file, a record, a credential helper or a child process may take."""

from __future__ import annotations

FILE_BYTES = 16 << 20  # any file of ours that has no smaller limit
SECRET_BYTES = 64 << 10

CONFIG_BYTES = 256 << 10  # a config.json without our logins; a usual one has 10 KB
LOGIN_BYTES = 8 << 10  # for each login that we keep in it
RECORD_BYTES = 64 << 10  # the record beside it
RECORD_LOGIN_BYTES = 1 << 10
LOGIN_LIFE_S = 24 * 3600.0  # no token lives longer

LINKS = 40  # on the way to a file, as in the kernel
LOCK_S = 5.0

HELPER_BYTES = 64 << 10  # what a credential helper may print
HELPER_S = 10.0
HELPER_MEMORY = 512 << 20  # helpers in Go map 64 MiB before they do anything

CHILD_BYTES = 64 << 10  # a child's answer
CHILD_LOGIN_BYTES = 1 << 10  # more for each login
CHILD_S = 15.0
HELPER_CHILD_S = 3 * HELPER_S + 5.0  # asks, stores, asks again
CHILD_MEMORY = 64 << 20
MEMORY_OF_CONFIG = 8  # bytes for each byte of the file


def config_bytes(logins: int) -> int:
    """The largest `config.json` that is read where we keep this many logins in it."""
    return CONFIG_BYTES + logins * LOGIN_BYTES


def record_bytes(logins: int) -> int:
    """The largest record of this many logins that is read."""
    return RECORD_BYTES + logins * RECORD_LOGIN_BYTES


def child_bytes(logins: int) -> int:
    """The largest answer about this many logins that is taken from a child."""
    return CHILD_BYTES + logins * CHILD_LOGIN_BYTES


def child_memory(logins: int) -> int:
    """How much memory a child may take for a file with this many of our logins."""
    return CHILD_MEMORY + MEMORY_OF_CONFIG * logins * LOGIN_BYTES
