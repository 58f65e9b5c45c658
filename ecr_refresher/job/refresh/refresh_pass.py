"""One pass: look at each slot, fetch a token if a slot needs one, prove it, deliver it.

Each slot is one coroutine, so slots run side by side and none waits for another. What slots share (a principal's token,
its proof) is a task that the first slot starts and the others await. Blocking calls run in threads: see `blocking`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from ...core import budgets, decide, schedule, wire
from ...core.decide import Need
from ...core.model import Credential, Failed, Failure, Holding, Outcome, Reason
from ...core.plan import Engine, Plan, Principal, Registry, Slot
from ..aws.clock import AwsClock
from ..blocking import MORE_TIME, BlockingCalls, failure_of
from ..net.proof import Refused
from .last_words import LastWords

T = TypeVar("T")


class Sink(Protocol):
    """Where a slot's credential is kept."""

    def look(self) -> Holding:
        """Return what the slot holds; changes nothing. Raises Failed."""

    def deliver(self, credential: Credential, still_wanted: Callable[[Holding], bool], /) -> tuple[Outcome, str | None]:
        """Write the credential; returns the outcome and the file's witness. Raises Failed."""

    @property
    def attach(self) -> Callable[[], None] | None:
        """For a pull secret: add it to its ServiceAccounts, where it is missing. Raises Failed."""


class Tools(Protocol):
    """What a pass acts with. `RealTools` in a worker; fakes in tests."""

    clock: AwsClock

    def fetch(self, principal: Principal) -> Credential: ...
    def prove(self, registry: Registry, credential: Credential) -> None: ...
    def probe(self, registry: Registry, credential: Credential) -> None: ...
    def engine_login(self, engine: Engine, host: str, credential: Credential) -> None: ...
    def sink(self, slot: Slot, registry: Registry) -> Sink: ...
    def report(self, line: wire.Line) -> None: ...


class _NoToken(Failed):
    """The fetch that a slot waited for failed."""


def ordered(job: wire.Job, plan: Plan) -> list[tuple[Slot, wire.Order]]:
    """The slots that the job asks for, with what the supervisor knows of each."""
    orders = {(order.sink, order.registry): order for order in job.orders or ()}
    if job.orders is None or job.load is not None:  # a new plan may have slots that the old one had not
        orders = {slot_id: orders.get(slot_id, wire.Order(*slot_id)) for slot_id in plan.by_id}
    return [(plan.by_id[slot_id], order) for slot_id, order in orders.items() if slot_id in plan.by_id]


class RefreshPass:
    """One pass over the slots that a job asks for."""

    def __init__(self, job: wire.Job, plan: Plan, tools: Tools, unresolved: Failure | None = None) -> None:
        """`unresolved` says why the host of the caller's own registry is not known."""
        self.job, self.plan, self.tools, self.unresolved = job, plan, tools, unresolved
        self.rules = plan.refresh
        self._registries = {registry.name: registry for registry in plan.registries}
        left = lambda: job.ends_at - tools.clock.boot() - budgets.MARGIN_S  # noqa: E731
        self._calls = BlockingCalls(left, "the pass", MORE_TIME)
        self._shared: dict[tuple[object, ...], asyncio.Task[Any]] = {}
        self._lives = dict(job.lives)  # principal -> life of its tokens
        # Another user can write into the record beside that user's file, so such a record counts for its own slot only.
        self._own_files = {docker.sink for docker in plan.dockers if docker.uid is None}
        self._names: dict[Credential, str] = {}
        self._last_words = LastWords(tools.report, tools.clock)

    async def run(self) -> None:
        """Serve every slot; ends when each has its last word. Raises nothing that a slot met."""
        slots = ordered(self.job, self.plan)
        first = int(self.tools.clock.boot()) % max(1, len(slots))  # another each time: no slot is always the last one
        await asyncio.gather(*(self._guarded(*each) for each in (*slots[first:], *slots[:first])))

    async def _guarded(self, slot: Slot, order: wire.Order) -> None:
        began = self.tools.clock.boot()
        try:
            await self._serve(slot, order, began)
        except _NoToken as error:
            self._last_words.failed(slot, error.failure, began, attempted=False)
        except Exception as error:  # noqa: BLE001 - one slot's trouble, a fault of ours too, never becomes another's
            self._last_words.failed(slot, failure_of(error), began)

    async def _serve(self, slot: Slot, order: wire.Order, began: float) -> None:
        registry = self._registries[slot.registry]
        if not registry.host:
            raise _own_unknown(self.unresolved)
        sink = self.tools.sink(slot, registry)
        holding = await self._at_sink("look", slot, sink.look)
        if sink.attach is not None and holding.until is not None and not self.job.dry_run:
            await self._at_sink("attach", slot, sink.attach)
        if holding.life is not None and slot.sink in self._own_files:
            self._lives.setdefault(slot.principal, holding.life)
        need, life = self._need(holding, order, slot), self._life(holding, slot)
        believed = decide.believed(holding, self.tools.clock.now(), life or schedule.DEFAULT_LIFE_S)
        until = holding.until if believed else None
        self.tools.report(wire.Looked(*slot.id, until, need is not Need.NONE, need.value, life, holding.witness))
        if need is Need.NONE:
            self._left_alone(slot, order, holding)
            return
        if self.job.dry_run:
            return
        credential = await self._proved(registry, await self._fetched(registry.principal), holding)
        longest = max(credential.life, self.job.lives.get(slot.principal, 0.0))
        if decide.is_worse(credential, holding, self.tools.clock.now(), longest):
            message = "ECR gave a token that ends earlier than the one in place, which stays"
            fix = "Wait for the next try; if it lasts, see who gives such tokens (endpoint_url, a proxy)"
            raise Failed(Reason.INVALID, message, fix)
        need = self._need(holding, order, slot)
        if need is Need.NONE:
            self._left_alone(slot, order, holding, skipped=True)
            return

        def still_wanted(seen: Holding) -> bool:
            wanted = self._need(seen, order, slot) is not Need.NONE
            return wanted and not decide.is_worse(credential, seen, self.tools.clock.now(), longest)

        outcome, witness = await self._at_sink("deliver", slot, sink.deliver, credential, still_wanted)
        if outcome is Outcome.SKIPPED:  # another daemon wrote between our look and our write
            self._left_alone(slot, order, await self._at_sink("look", slot, sink.look), skipped=True)
            return
        repaired = need.drift and order.expected_until is not None and outcome is Outcome.WRITTEN
        token = self._names[credential]
        line = wire.Delivered(*slot.id, outcome, token=token, repaired=repaired, witness=witness)
        self._last_words.delivered(slot, credential, began, line)
        await self._later_proofs(slot, registry, credential)

    def _need(self, holding: Holding, order: wire.Order, slot: Slot) -> Need:
        life = self._life(holding, slot) or schedule.DEFAULT_LIFE_S
        return decide.need(holding, order, self.tools.clock.now(), life, self.rules, force=self.job.force)

    def _life(self, holding: Holding, slot: Slot) -> float | None:
        """How long the slot's tokens live: as a fetch or a file of our own has shown, else as its own record says."""
        return self._lives.get(slot.principal) or holding.life

    def _left_alone(self, slot: Slot, order: wire.Order, holding: Holding, *, skipped: bool = False) -> None:
        """Report a slot that is good as it is, unless the supervisor expects just that."""
        if order.expected_until is None or order.due or skipped:
            self._last_words.left_alone(slot, holding, self._life(holding, slot))

    # --- what slots share ----------------------------------------------------------------------------------------
    async def _once(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Return the result of a shared task; the first slot that asks starts it."""
        key = (work.__name__, *args)
        if key not in self._shared:
            self._shared[key] = asyncio.ensure_future(work(*args))
        result: T = await asyncio.shield(self._shared[key])
        return result

    async def _fetched(self, principal: Principal, attempt: int = 1) -> Credential:
        try:
            return await self._once(self._fetch, principal, attempt)
        except Exception as error:  # noqa: BLE001 - reported already; here it ends the slots that wait for it
            raise _NoToken.of(failure_of(error)) from None

    async def _fetch(self, principal: Principal, _attempt: int) -> Credential:
        began, key = self.tools.clock.boot(), principal.key
        try:
            credential = await self._calls.run("fetch", budgets.FETCHES, budgets.CALL_S, self.tools.fetch, principal)
        except Exception as error:
            self._last_words.not_fetched(key, failure_of(error), began)
            raise
        self._names[credential] = f"{self.job.id}.{len(self._names) + 1}.{key}"
        self._lives[key] = credential.life
        self._last_words.fetched(key, credential, began)
        return credential

    async def _proved(self, registry: Registry, credential: Credential, holding: Holding) -> Credential:
        """Try the token at the registry; keep one that ECR itself refuses twice away from a slot that holds a good one.

        Returns the token to deliver. Raises Failed.
        """
        if registry.alias_of is not None:  # another name of a registry, which may not resolve from here
            registry = self._registries[registry.alias_of]
        if not self.rules.prove or not await self._refused(registry, credential):
            return credential
        with contextlib.suppress(_NoToken):
            credential = await self._fetched(registry.principal, attempt=2)
        if not await self._refused(registry, credential):
            return credential
        life = self._lives.get(registry.principal.key, credential.life)
        if decide.may_be_refused(holding, self.tools.clock.now(), life) and not self.job.force:
            message = f"{registry.host} refuses the new token and another one; the old one stays"
            fix = "See that the token is asked for in the registry's own region and partition (endpoint_url)"
            raise Failed(Reason.INVALID, message, fix)
        return credential

    async def _refused(self, registry: Registry, credential: Credential) -> bool:
        return await self._once(self._tried, registry, "registry", self.tools.prove, registry, credential)

    async def _later_proofs(self, slot: Slot, registry: Registry, credential: Credential) -> None:
        """Proofs that only ever warn come after the delivery, so that they can't delay it."""
        if registry.probe_image:
            await self._once(self._tried, registry, "probe_image", self.tools.probe, registry, credential)
        for docker in self.plan.dockers:
            if docker.engine is not None and docker.sink == slot.sink:
                login = self.tools.engine_login, docker.engine, registry.host, credential
                await self._once(self._tried, registry, "engine", *login)

    async def _tried(self, registry: Registry, by: str, prove: Callable[..., None], *args: object) -> bool:
        """Try a token and report it; true only where the registry itself refuses it."""
        failure: Failure | None = None
        refused = False
        try:
            await self._calls.run(f"proof by {by}", budgets.PROOFS, budgets.PROOF_S, prove, *args)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a proof must not cost the delivery
            failure, refused = failure_of(error), isinstance(error, Refused)
        self._last_words.proved(registry, by, failure)
        return refused

    def _at_sink(self, doing: str, slot: Slot, act: Callable[..., T], *args: object) -> Awaitable[T]:
        """Looks take no turns from deliveries: at a slow server, a pass delivers before it has looked at everything."""
        at_once = budgets.PER_FILE if slot.kind == "docker" else budgets.PER_SERVER
        return self._calls.run(f"{doing} {slot.group}", at_once, budgets.CALL_S, act, *args)


def _own_unknown(why: Failure | None) -> Failed:
    message, fix = "the host of the caller's own registry is not known", "Name the registry under 'registries'"
    if why is None:
        return Failed(Reason.MISSING, message, fix)
    return Failed(why.reason, f"{message} ({why.message})", f"{fix}, or: {why.fix}" if why.fix else fix)
