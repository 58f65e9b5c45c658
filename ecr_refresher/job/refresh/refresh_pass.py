"""One pass: look at each slot, fetch if one needs it, prove, deliver. Slots run side by side; none waits for another.

Each slot is one straight coroutine; what slots share (a principal's token, its proof) is a task that the first one
starts and the others await. Blocking calls run in threads, a small pool for each server, so that one that hangs
holds up nobody but its own slots.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ... import logs
from ...core import decide, schedule, wire
from ...core.decide import Expectation, Need
from ...core.model import Credential, Failed, Failure, Holding, Outcome, Reason
from ...core.plan import Engine, Plan, Principal, Registry, Slot
from ...core.times import rfc3339
from ..aws.clock import AwsClock
from ..net.proof import Refused, as_failure

T = TypeVar("T")

CALL_S = 25.0  # the longest that one call may take; each library's own timeouts are shorter
PROOF_LIMIT_S = 10.0
MARGIN_S = 0.5  # calls end this much before the pass must, so that what is known can still be said
THREADS = {"fetch": 32, "prove": 16, "docker": 128}  # those of a file wait for each other, to share a write
THREADS_PER_SERVER = 8


class Sink(Protocol):
    """A place for credentials, bound to one slot."""

    def look(self) -> Holding:
        """Tell what the slot holds; changes nothing. Raises Failed."""

    def deliver(self, credential: Credential, still_wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        """Bring the credential there; gives what came of it and the file's witness. Raises Failed."""


class Tools(Protocol):
    """What a pass acts with; the worker gives the real ones, tests their own."""

    clock: AwsClock

    def fetch(self, principal: Principal) -> Credential: ...
    def prove(self, registry: Registry, credential: Credential) -> None: ...
    def probe(self, registry: Registry, credential: Credential) -> None: ...
    def engine_login(self, engine: Engine, host: str, credential: Credential) -> None: ...
    def sink(self, slot: Slot, registry: Registry) -> Sink: ...
    def report(self, line: wire.Line) -> None: ...


def ordered(job: wire.Job, plan: Plan) -> list[tuple[Slot, wire.Order]]:
    """The slots that are to be seen to, and what is known of each."""
    slots = {slot.id: slot for slot in plan.slots}
    orders = {(order.sink, order.registry): order for order in job.orders or ()}
    if job.orders is None or job.load is not None:  # a new plan may have slots that the old one had not
        orders = {slot_id: orders.get(slot_id, wire.Order(*slot_id)) for slot_id in slots}
    return [(slots[slot_id], order) for slot_id, order in orders.items() if slot_id in slots]


class RefreshPass:
    """One pass over what a job orders."""

    def __init__(self, job: wire.Job, plan: Plan, tools: Tools, unresolved: Failure | None = None) -> None:
        self.job = job
        self.unresolved = unresolved  # why the caller's own registry is not known
        self.plan = plan
        self.tools = tools
        self.rules = plan.refresh
        self._registries = {registry.name: registry for registry in plan.registries}
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._shared: dict[tuple[object, ...], asyncio.Task[Any]] = {}
        self._lives = dict(job.lives)
        self._fetches = 0

    async def run(self) -> None:
        """See to every slot that is ordered; ends when each has its last word. Raises nothing of theirs."""
        await asyncio.gather(*(self._guarded(slot, order) for slot, order in ordered(self.job, self.plan)))
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _guarded(self, slot: Slot, order: wire.Order) -> None:
        began = time.monotonic()
        try:
            await self._see_to(slot, order, began)
        except Failed as error:
            self._failed(slot, error.failure, began)
        except Exception as error:  # noqa: BLE001 - one slot's trouble, ours included, never becomes another's
            self._failed(slot, Failure(Reason.INTERNAL, logs.place_of(error)), began)

    async def _see_to(self, slot: Slot, order: wire.Order, began: float) -> None:
        registry = self._registries[slot.registry]
        if not registry.host:
            raise _own_unknown(self.unresolved)
        sink = self.tools.sink(slot, registry)
        holding = await self._call(_server(slot), sink.look)
        if holding.life is not None:  # recorded in a file: tells how long tokens for its neighbours live as well
            self._lives.setdefault(slot.principal, holding.life)
        expected = Expectation(order.expected_until, order.due)
        need = self._need(holding, expected, slot)
        self.tools.report(
            wire.Looked(
                *slot.id,
                until=holding.until if need is not Need.UNBELIEVABLE else None,
                needed=need is not Need.NONE,
                why=need.value,
                life=self._life(holding, slot),
                witness=holding.witness,
            )
        )
        if need is Need.NONE:
            self._left_alone(slot, order, holding)
            return
        if self.job.dry_run:
            return
        credential = await self._once("fetch", registry.principal)
        if credential is None:
            return
        credential = await self._proved(registry, credential, holding)
        life = max(credential.life, self.job.lives.get(slot.principal, 0.0))
        if decide.is_worse(credential, holding, self.tools.clock.now(), life):
            raise Failed(Reason.INVALID, "ECR gave a token that ends earlier than the one in place, which stays")
        need = self._need(holding, expected, slot)
        if need is Need.NONE:
            self._left_alone(slot, order, holding, skipped=True)
            return

        def still_wanted(seen: Holding) -> bool:
            wanted = self._need(seen, expected, slot) is not Need.NONE
            return wanted and not decide.is_worse(credential, seen, self.tools.clock.now(), life)

        outcome, witness = await self._call(_server(slot), sink.deliver, credential, still_wanted)
        if outcome is Outcome.SKIPPED:  # somebody else was quicker between our look and our write
            self._left_alone(slot, order, await self._call(_server(slot), sink.look), skipped=True)
            return
        repaired = need.drift and order.expected_until is not None and outcome is Outcome.WRITTEN
        self._delivered(slot, outcome, credential, began, witness=witness, repaired=repaired)
        await self._later_proofs(slot, registry, credential)

    def _need(self, holding: Holding, expected: Expectation, slot: Slot) -> Need:
        life = self._life(holding, slot) or schedule.DEFAULT_LIFE_S
        return decide.need(holding, expected, self.tools.clock.now(), life, self.rules, force=self.job.force)

    def _life(self, holding: Holding, slot: Slot) -> float | None:
        """How long the slot's tokens live, as far as any slot or fetch of the principal has told."""
        return self._lives.get(slot.principal) or holding.life

    # --- what slots share ----------------------------------------------------------------------------------------
    async def _once(self, what: str, *key: Any) -> Any:
        """Give the one result of a shared task; the first to ask starts it."""
        task = self._shared.get((what, *key))
        if task is None:
            begin: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
                "fetch": self._fetch,
                "fetch again": self._fetch,
                "prove": self._prove,
                "probe": self._probe,
                "engine": self._prove_by_engine,
            }
            task = self._shared[what, *key] = asyncio.ensure_future(begin[what](*key))
        return await asyncio.shield(task)

    async def _fetch(self, principal: Principal) -> Credential | None:
        began, key = time.monotonic(), principal.key
        self._fetches += 1
        try:
            credential = await self._call("fetch", self.tools.fetch, principal)
        except Failed as error:
            took = round(time.monotonic() - began, 3)
            self.tools.report(wire.Fetched(key, took, failure=error.failure))
            logs.get().error(
                "token_fetch_failed",
                principal=key,
                duration_s=took,
                reason=error.failure.reason,
                error=error.failure.message,
            )
            return None
        took = round(time.monotonic() - began, 3)
        self._lives[key] = credential.life
        self.tools.report(wire.Fetched(key, took, credential.issued_at, credential.expires_at))
        logs.get().info("token_fetched", principal=key, expires_at=rfc3339(credential.expires_at), duration_s=took)
        return credential

    async def _proved(self, registry: Registry, credential: Credential, holding: Holding) -> Credential:
        """Try the token at the registry; one that ECR itself refuses twice is kept out while the old one is good."""
        if registry.alias_of is not None:  # another name of what is proved already, which may not resolve from here
            registry = self._registries[registry.alias_of]
        if not self.rules.prove or await self._once("prove", registry, credential):
            return credential
        again = await self._once("fetch again", registry.principal)
        credential = again or credential
        if await self._once("prove", registry, credential):
            return credential
        life = self._lives.get(registry.principal.key, credential.life)
        if decide.may_be_refused(holding, self.tools.clock.now(), life) and not self.job.force:
            raise Failed(Reason.INVALID, f"{registry.host} refuses the new token, and another one; the old one stays")
        return credential

    async def _prove(self, registry: Registry, credential: Credential) -> bool:
        """False only where the registry itself refuses the token."""
        return not await self._proof(registry, "registry", self._tried("prove", self.tools.prove, registry, credential))

    async def _probe(self, registry: Registry, credential: Credential) -> None:
        await self._proof(registry, "probe_image", self._tried("prove", self.tools.probe, registry, credential))

    def _tried(self, pool: str, prove: Callable[..., None], *args: object) -> Awaitable[None]:
        return self._call(pool, prove, *args, limit_s=PROOF_LIMIT_S)

    async def _proof(self, registry: Registry, by: str, proof: Awaitable[None]) -> bool:
        """Await one try and tell of it; true if the token was refused."""
        failure: Failure | None = None
        refused = False
        try:
            await proof
        except Exception as error:  # noqa: BLE001 - a proof that goes wrong in any way must not cost the delivery
            failure, refused = as_failure(error), isinstance(error, Refused)
            logs.get().warning(
                "proof_failed", registry=registry.name, by=by, reason=failure.reason, error=failure.message
            )
        self.tools.report(wire.Proved(registry.name, by, failure))
        return refused

    async def _later_proofs(self, slot: Slot, registry: Registry, credential: Credential) -> None:
        """What only ever warns comes after the delivery, so that it can't delay it."""
        if registry.probe_image:
            await self._once("probe", registry, credential)
        for docker in self.plan.dockers:
            if docker.engine is not None and docker.sink == slot.sink:
                await self._once("engine", docker.engine, registry, credential)

    async def _prove_by_engine(self, engine: Engine, registry: Registry, credential: Credential) -> None:
        proof = self._tried("engine", self.tools.engine_login, engine, registry.host, credential)
        await self._proof(registry, "engine", proof)

    # --- threads -------------------------------------------------------------------------------------------------
    async def _call(self, pool: str, function: Callable[..., T], *args: object, limit_s: float = CALL_S) -> T:
        """Run a blocking call in its pool, for as long as the pass still has. Raises Failed when time is up."""
        if pool not in self._pools:
            threads = THREADS.get(pool.partition(" ")[0], THREADS_PER_SERVER)
            self._pools[pool] = ThreadPoolExecutor(threads, thread_name_prefix=pool[:12])
        return await self._in_time(
            asyncio.get_running_loop().run_in_executor(self._pools[pool], function, *args), limit_s
        )

    async def _in_time(self, waiting: Awaitable[T], limit_s: float = CALL_S) -> T:
        left = self.job.ends_at - self.tools.clock.boot() - MARGIN_S
        try:
            async with asyncio.timeout(min(limit_s, max(left, 0.1))):
                return await waiting
        except TimeoutError:
            raise Failed(Reason.TRANSIENT, "no answer within the time that this pass has") from None

    # --- last words ----------------------------------------------------------------------------------------------
    def _left_alone(self, slot: Slot, order: wire.Order, holding: Holding, *, skipped: bool = False) -> None:
        """A slot that is good as it is; worth a line where the asker did not know that, or meant to renew it."""
        if order.expected_until is not None and not order.due and not skipped:
            return
        outcome = Outcome.UNCHANGED if holding.own_record else Outcome.SKIPPED
        life = self._life(holding, slot)
        self.tools.report(wire.Delivered(*slot.id, outcome, until=holding.until, life=life, witness=holding.witness))
        until = None if holding.until is None else rfc3339(holding.until)
        logs.get().info("delivery_skipped", registry=slot.registry, sink=slot.sink, outcome=outcome, expires_at=until)

    def _delivered(
        self, slot: Slot, outcome: Outcome, credential: Credential, began: float, *, witness: str | None, repaired: bool
    ) -> None:
        took = round(time.monotonic() - began, 3)
        token = f"{self.job.id}.{self._fetches}.{slot.principal}"
        line = wire.Delivered(
            *slot.id, outcome, took, credential.expires_at, credential.life, token, repaired=repaired, witness=witness
        )
        self.tools.report(line)
        logs.get().info(
            "delivered",
            registry=slot.registry,
            sink=slot.sink,
            outcome=outcome,
            expires_at=rfc3339(credential.expires_at),
            duration_s=took,
            repaired=repaired or None,
        )

    def _failed(self, slot: Slot, failure: Failure, began: float) -> None:
        took = round(time.monotonic() - began, 3)
        shown = replace(failure, message=logs.redact(failure.message), fix=logs.redact(failure.fix))
        self.tools.report(wire.Delivered(*slot.id, Outcome.FAILED, took, failure=shown))
        logs.get().error(
            "delivery_failed",
            registry=slot.registry,
            sink=slot.sink,
            duration_s=took,
            reason=shown.reason,
            error=shown.message,
        )


def _server(slot: Slot) -> str:
    """The pool for calls of the slot's sink: its kind, and which one."""
    return f"{slot.kind} {slot.target}"


def _own_unknown(why: Failure | None) -> Failed:
    reason = why.reason if why else Reason.MISSING
    because = f" ({why.message})" if why else ""
    return Failed(reason, f"the caller's own registry could not be found out; name it under 'registries'{because}")
