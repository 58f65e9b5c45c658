"""Limits in seconds and bytes for what a job does and for what it takes in. One place, so that they fit each other."""

from __future__ import annotations

# Seconds
DEADLINE_MAX_S = 600.0  # the longest refresh.deadline
START_S = 60.0  # a foreground command, until its settings are read
CALL_S = 25.0  # one call of a pass, from its start; the libraries' own timeouts are shorter
PROOF_S = 10.0  # one proof of a token: it only warns, so it may not hold up a delivery for long
MARGIN_S = 0.5  # the last calls of a pass end this much before the pass, so that their failures are still reported
CREDENTIALS_S = 20.0  # the credentials of one AWS profile: a credential_process may ask a server far away
CREDENTIALS_MARGIN_S = 1.0  # they end this much before the pass, so that their failure names what hangs
AWS_CONNECT_S, AWS_READ_S, AWS_ALL_S = 3.05, 10.0, 20.0  # one request: without a connection, without a byte, in all
PROOF_ANSWER_S = 3.0  # the answer of a registry
ROUTE_S = 4.0  # one route of `check`
ALARM_GRACE_S = 4.0  # past its limit a process is ended by its alarm
LEG_S = 15.0  # one leg of `check`
CHECK_S = 240.0  # the whole of `check`
CLEANUP_S = 3600.0  # `cleanup` by hand
CLEANUP_GRACE_S = 90.0  # a cleanup begins nothing new this close to its limit: one removal may take a minute

# Calls at a time
FETCHES, PROOFS, PER_SERVER, PER_FILE = 32, 16, 4, 128  # at a sink: so many looks, and so many deliveries
LEGS = 32
AWS_CLIENTS_MAX = 64  # kept for further calls; each takes 0.2 MB

# Bytes
STACK = 1 << 20  # of each thread; all of them count as data of the process
DATA_MAX = 1 << 30  # of a process without a cgroup's limit: a pass over 1,000 registries takes less
DATA_MIN = 128 << 20  # no process gets by with less
BESIDE = 48 << 20  # of a cgroup's limit, for the supervisor and the kernel's buffers
ANSWER_MAX = 1 << 20  # an answer of AWS; a token has some thousands
PROOF_ANSWER_MAX = 8192  # what is read of a registry's answer
STRAY_LINE, STRAY_ALL = 1000, 65536  # what libraries and children print, into the log
