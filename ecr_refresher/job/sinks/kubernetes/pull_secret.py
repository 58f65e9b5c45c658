"""One pull secret as a place for credentials: created where missing, updated in place, never deleted.

In place matters: a kubelet from 1.35 on trusts a cached image for a rotated secret only while the secret keeps its UID
(KEP-2535).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .... import logs
from ....core import budgets
from ....core.model import Credential, Failed, Holding, Outcome, Reason
from ....core.printable import printable
from ..batches import Batches
from . import document
from .api_server import ApiServer
from .document import Content

ROUNDS = 6  # how often others may change the secret between our look and our write
LOOK_HOLDS_S = 1.0  # after that, or after the look's own duration if that was longer, we look again before a write
LOOK_HELD_MAX = 32 << 10  # bytes; a larger secret is read again before a write, since a pass may look at a thousand
WAIT_S = 20.0  # for other registries' write


@dataclass(frozen=True, slots=True)
class Examination:
    """What a kubelet would find: the login's expiry, and entries that it would prefer for some images."""

    exists: bool
    until: float | None = None
    longer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Delivery:
    """One login on its way into the secret."""

    host: str
    credential: Credential
    still_wanted: Callable[[Holding], bool]


class PullSecret:
    """One secret in one namespace; its registries may be looked at and delivered from several threads."""

    def __init__(
        self, api: Callable[[], ApiServer], namespace: str, name: str, service_accounts: tuple[str, ...] = ()
    ) -> None:
        self._api = api
        self._namespace, self._name, self._service_accounts = namespace, name, service_accounts
        self._path = f"kubernetes/{namespace}/{name}"
        self._seen: tuple[Content | None, float] | None = None  # what the last look found, and until when that counts
        self._deliveries = Batches(self._write_all, WAIT_S)

    def look(self, host: str) -> Holding:
        """Tell until when the secret holds a login for this registry, as its annotation records it. Raises Failed."""
        return document.holding(self._look(), host)

    def deliver(self, host: str, credential: Credential, still_wanted: Callable[[Holding], bool]) -> Outcome:
        """Write the credential: `written`; or `skipped` where the secret holds something good by now. Raises Failed.

        Registries of one secret that are delivered at the same time share one write, so they never conflict.
        """
        size = len(credential.secret.reveal())
        if size > budgets.PULL_LOGIN_MAX:
            what = f"the login for {host} has {size >> 10} KiB, and {budgets.PULL_LOGIN_MAX >> 10} KiB is the most"
            fix = "Look for a proxy or a test endpoint that answers in ECR's place"
            raise Failed(Reason.INVALID, f"{self._path}: {what}, since registries share the secret", fix)
        try:
            return self._deliveries.do(_Delivery(host, credential, still_wanted))
        except TimeoutError:
            what = f"{self._path}: other registries of it are still being written"
            raise Failed(Reason.TRANSIENT, what, "It is tried again") from None

    def _write_all(self, batch: Sequence[_Delivery]) -> Sequence[Outcome]:
        """Write those that are still wanted, in one change of the secret. Raises Failed."""
        for attempt in range(ROUNDS):
            seen = self._seen
            if attempt or seen is None or time.monotonic() > seen[1]:
                content = self._look()
                wanted = [one for one in batch if one.still_wanted(document.holding(content, one.host))]
            else:
                content, wanted = seen[0], list(batch)
            self._seen = None
            if not wanted or self._write(content, {one.host: one.credential for one in wanted}):
                return [Outcome.WRITTEN if one in wanted else Outcome.SKIPPED for one in batch]
        what = f"{self._path}: another client keeps changing it"
        fix = "Find that client in the audit log or the secret's managedFields, and stop it"
        raise Failed(Reason.TRANSIENT, what, fix)

    def examine(self, host: str) -> Examination:
        """Look at the secret as a kubelet reads it; changes nothing. Raises Failed."""
        content = self._look()
        if content is None:
            return Examination(False)
        longer = [key for key in document.auths(content.config) if document.bare(key).startswith(f"{host}/")]
        return Examination(True, document.holding(content, host).until, tuple(longer))

    def attach(self) -> None:
        """Name the secret in the imagePullSecrets of the ServiceAccounts; other entries stay. Raises Failed."""
        for name in self._service_accounts:
            if not self._attached(name):
                what = f"there is no ServiceAccount {name} in namespace {self._namespace}"
                fix = "Create it, or take it out of service_accounts"
                logs.get().warning("service_account_missing", sink=self._path, error=what, fix=fix)

    def _attached(self, account: str) -> bool:
        api = self._api()
        for _ in range(ROUNDS):
            found = api.pull_secrets(self._namespace, account)
            if found is None:
                return False
            version, named = found
            if self._name in named or api.set_pull_secrets(self._namespace, account, version, [*named, self._name]):
                return True
        what = f"another client keeps changing the ServiceAccount {account} in namespace {self._namespace}"
        raise Failed(Reason.TRANSIENT, what, "Find that client in the audit log, and stop it")

    def _look(self) -> Content | None:
        began = time.monotonic()
        content = self._api().secret(self._namespace, self._name)
        ended = time.monotonic()
        if content is not None and content.type != document.TYPE:
            what = f"{self._path} is of type {printable(content.type)[:100]}, which is not a pull secret"
            fix = f"Name another secret, or delete that one: its type must be {document.TYPE}"
            raise Failed(Reason.INVALID, what, fix)
        held = content is None or content.size <= LOOK_HELD_MAX
        self._seen = (content, ended + max(LOOK_HOLDS_S, ended - began)) if held else None
        return content

    def _write(self, content: Content | None, logins: Mapping[str, Credential]) -> bool:
        api = self._api()
        if content is None:
            return api.create_secret(self._namespace, self._name, document.new(self._name, logins))
        return api.patch_secret(self._namespace, self._name, document.patch(content, logins))
