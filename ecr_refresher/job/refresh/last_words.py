"""What a pass says about each slot, fetch and proof: one report line for machines, one log line for people."""

from msgspec.structs import replace

from ... import logs
from ...core import wire
from ...core.model import Credential, Failure, Holding, Outcome
from ...core.plan import Registry, Slot
from ...core.times import rfc3339
from ..aws.clock import AwsClock


class LastWords:
    """Reports and logs; `began` is a moment on the boot clock."""

    def __init__(self, report: wire.Report, clock: AwsClock) -> None:
        self._report, self._clock = report, clock

    def fetched(self, principal: str, credential: Credential, began: float) -> None:
        took = self._since(began)
        self._report(wire.Fetched(principal, took, credential.issued_at, credential.expires_at))
        until = rfc3339(credential.expires_at)
        logs.get().info("token_fetched", principal=principal, expires_at=until, duration_s=took)

    def not_fetched(self, principal: str, failure: Failure, began: float) -> None:
        shown, took = _redacted(failure), self._since(began)
        self._report(wire.Fetched(principal, took, failure=shown))
        logs.get().error("token_fetch_failed", principal=principal, duration_s=took, **shown.fields)

    def proved(self, registry: Registry, by: str, failure: Failure | None) -> None:
        shown = failure and _redacted(failure)
        self._report(wire.Proved(registry.name, by, shown))
        if shown is not None:
            logs.get().warning("proof_failed", registry=registry.name, by=by, **shown.fields)

    def left_alone(self, slot: Slot, holding: Holding, life: float | None) -> None:
        """The slot holds a good credential: ours, or another daemon's."""
        outcome = Outcome.UNCHANGED if holding.own_record else Outcome.SKIPPED
        self._report(wire.Delivered(*slot.id, outcome, until=holding.until, life=life, witness=holding.witness))
        until = None if holding.until is None else rfc3339(holding.until)
        logs.get().info("delivery_skipped", outcome=outcome, expires_at=until, **_named(slot))

    def delivered(self, slot: Slot, credential: Credential, began: float, line: wire.Delivered) -> None:
        """`line` says the outcome, and what the credential does not say."""
        took, until = self._since(began), credential.expires_at
        line = replace(line, duration_s=took, until=until, life=credential.life)
        self._report(line)
        more = {"expires_at": rfc3339(until), "duration_s": took, "repaired": line.repaired or None}
        logs.get().info("delivered", outcome=line.outcome, **_named(slot), **more)

    def failed(self, slot: Slot, failure: Failure, began: float, *, attempted: bool = True) -> None:
        """`attempted` is false where the fetch failed: that is logged once, not again for each of its slots."""
        shown, took = _redacted(failure), self._since(began)
        self._report(wire.Delivered(*slot.id, Outcome.FAILED, took, failure=shown, attempted=attempted))
        if attempted:
            logs.get().error("delivery_failed", duration_s=took, **_named(slot), **shown.fields)

    def _since(self, began: float) -> float:
        return round(self._clock.boot() - began, 3)


def _named(slot: Slot) -> dict[str, str]:
    return {"registry": slot.registry, "sink": slot.sink}


def _redacted(failure: Failure) -> Failure:
    return replace(failure, message=logs.redact(failure.message), fix=logs.redact(failure.fix))
