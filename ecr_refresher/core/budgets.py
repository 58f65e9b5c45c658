"""Limits in seconds and bytes for what a job does and for what it takes in. One place, so that they fit each other."""

# Seconds
DEADLINE_MAX_S = 600.0  # the longest refresh.deadline
START_S = 60.0  # a foreground command, until its settings are read
CALL_S = 25.0  # one call of a pass, from its start; the libraries' own timeouts are shorter
NAMESPACES_S = 15.0  # all lists of namespaces of a pass, which waits for them
PROOF_S = 10.0  # one proof of a token: it only warns, so it may not hold up a delivery for long
MARGIN_S = 0.5  # the last calls of a pass end this much before the pass, so that their failures are still reported
CREDENTIALS_S = 20.0  # the credentials of one AWS profile: a credential_process may ask a server far away
CREDENTIALS_MARGIN_S = 1.0  # they end this much before the pass, so that their failure names what hangs
AWS_CONNECT_S, AWS_READ_S, AWS_ALL_S = 3.05, 10.0, 20.0  # one request: without a connection, without a byte, in all
PROOF_ANSWER_S = 3.0  # the answer of a registry
ROUTE_S = 4.0  # one route of `check`
ALARM_GRACE_S = 4.0  # past its limit a process is ended by its alarm
LEG_S = 15.0  # one leg of `check`
LEGS_S = 180.0  # all legs of `check`
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
HEAD_MAX = 64 << 10  # the status, headers and sizes of chunks of an answer; real ones have 2 KiB
ANSWER_MAX = 64 << 10  # an answer of AWS: keys, or a token, which has some thousands; as objects it takes 30 times more
STORE_ANSWER_MAX = 256 << 10  # of AWS's stores of secrets and of MWAA; a secret has 64 KiB at most
AIRFLOW_ANSWER_MAX = 256 << 10  # a connection with a long description and extra
AIRFLOW_REFUSAL_MAX = 64 << 10  # an error that is looked into for the fields that it names
AIRFLOW_DESCRIPTION_KEPT = 8 << 10  # characters; a longer one is read again before the write
TOKEN_MIN = 100  # of a token, which is masked wherever it is printed; real ones have 1,900 and more, no word has 100
PULL_LOGIN_MAX = 32 << 10  # of one registry in a pull secret, which may have 1 MiB
SELECTED_MAX = 1000  # slots of one namespace_selector: twice as many are looked at in 30 s, and fit into 160 MB
KUBERNETES_ANSWER_MAX = 2 << 20  # a secret has 1 MiB at most, and a third more as base64
PROOF_ANSWER_MAX = 8192  # what is read of a registry's answer
ENGINE_ANSWER_MAX = 64 << 10  # an engine's version, or its word on a login: PROOFS may be asked at a time
ENGINE_LIST_MAX = 16 << 20  # its lists: 10,000 images or containers, one list at a time
STRAY_LINE, STRAY_ALL = 1000, 65536  # what libraries and children print, into the log
STRAY_S = 0.5  # to read the last of it at a process's end, which a child that outlives it would delay

# Files, records, credential helpers, and the children that handle them
FILE_MAX = 16 << 20  # any file of ours that has no smaller limit
SECRET_MAX = 64 << 10
CONFIG_MAX = 256 << 10  # a config.json without our logins; a usual one has 10 KB
LOGIN_MAX = 8 << 10  # for each login that we keep in it
RECORD_MAX = 64 << 10  # the record beside it
RECORD_LOGIN_MAX = 1 << 10
LINKS = 40  # on the way to a file, as in the kernel
LOCK_S = 5.0
LOGIN_LIFE_S = 24 * 3600.0  # no token lives longer
HELPER_S, HELPER_MAX = 10.0, 64 << 10  # one call of a helper, and what it may print
HELPER_MEMORY = 512 << 20  # helpers in Go map 64 MiB before they do anything
CHILD_S, HELPER_CHILD_S = 12.0, 20.0  # shorter than CALL_S; a helper is asked, given the login, and asked again
PROCESSES = 64  # and threads that a user's helper may start at least, or up to twice as many
PROCESSES_MAX = 1 << 16  # a user who runs more is not bounded
CHILDREN = 2  # of one file at a time: a user with many slots and a slow helper must not fill the memory
CHILD_MAX = 64 << 10  # a child's answer
CHILD_LOGIN_MAX = 1 << 10  # more for each login
CHILD_MEMORY = 64 << 20
MEMORY_OF_CONFIG = 8  # bytes for each byte of the file


def login_max(logins: int) -> int:
    """The largest login that is written into a file with this many of ours, so that it takes no room of the others."""
    return LOGIN_MAX if logins > 1 else CONFIG_MAX // 2


def config_max(logins: int) -> int:
    """The largest `config.json` that is read where we keep this many logins in it."""
    return CONFIG_MAX + logins * LOGIN_MAX


def record_max(logins: int) -> int:
    """The largest record of this many logins that is read."""
    return RECORD_MAX + logins * RECORD_LOGIN_MAX


def child_max(logins: int) -> int:
    """The largest answer about this many logins that is taken from a child."""
    return CHILD_MAX + logins * CHILD_LOGIN_MAX


def child_memory(logins: int) -> int:
    """How much memory a child may take for a file with this many of our logins."""
    return CHILD_MEMORY + MEMORY_OF_CONFIG * logins * LOGIN_MAX
