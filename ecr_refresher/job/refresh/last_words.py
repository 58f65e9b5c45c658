"""What a pass says about each slot, fetch and proof: one report line for machines, one log line for people."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ... import logs
from ...core import wire
from ...core.model import Credential, Failure, Holding, Outcome
from ...core.plan import Registry, Slot
from ...core.times import rfc3339
from ..aws.clock import AwsClock


class LastWords:
    """Reports and logs; `began` is a moment on the boot clock."""

    def __init__(self, report: Callable[[wire.Line], None], clock: AwsClock) -> None:
        self._report, self._clock = report, clock

    def fetched(self, principal: str, credential: Credential, began: float) -> None:
        took = self._since(began)
        self._report(wire.Fetched(principal, took, credential.issued_at, credential.expires_at))
        until = rfc3339(credential.expires_at)
        logs.get().info("token_fetched", principal=principal, expires_at=until, duration_s=took)

    def not_fetched(self, principal: str, failure: Failure, began: float) -> None:
        shown, took = _redacted(failure), self._since(began)
        self._report(wire.Fetched(principal, took, failure=shown))
        logs.get().error("token_fetch_failed", principal=principal, duration_s=took, **_why(shown))

    def proved(self, registry: Registry, by: str, failure: Failure | None) -> None:
        shown = None if failure is None else _redacted(failure)
        self._report(wire.Proved(registry.name, by, shown))
        if shown is not None:
            logs.get().warning("proof_failed", registry=registry.name, by=by, **_why(shown))

    def left_alone(self, slot: Slot, holding: Holding, life: float | None) -> None:
        """The slot holds a good credential: ours, or another daemon's."""
        outcome = Outcome.UNCHANGED if holding.own_record else Outcome.SKIPPED
        self._report(wire.Delivered(*slot.id, outcome, until=holding.until, life=life, witness=holding.witness))
        until = None if holding.until is None else rfc3339(holding.until)
        logs.get().info("delivery_skipped", registry=slot.registry, sink=slot.sink, outcome=outcome, expires_at=until)

    def delivered(
        self,
        slot: Slot,
        outcome: Outcome,
        credential: Credential,
        began: float,
        *,
        token: str,
        witness: str | None,
        repaired: bool,
    ) -> None:
        """`token` names the credential and says nothing of its content."""
        took = self._since(began)
        self._report(
            wire.Delivered(
                *slot.id,
                outcome,
                took,
                credential.expires_at,
                credential.life,
                token,
                repaired=repaired,
                witness=witness,
            )
        )
        logs.get().info(
            "delivered",
            registry=slot.registry,
            sink=slot.sink,
            outcome=outcome,
            expires_at=rfc3339(credential.expires_at),
            duration_s=took,
            repaired=repaired or None,
        )

    def failed(self, slot: Slot, failure: Failure, began: float, *, attempted: bool = True) -> None:
        """`attempted` is false where the fetch failed: that is logged once, not again for each of its slots."""
        shown, took = _redacted(failure), self._since(began)
        self._report(wire.Delivered(*slot.id, Outcome.FAILED, took, failure=shown, attempted=attempted))
        if attempted:
            logs.get().error("delivery_failed", registry=slot.registry, sink=slot.sink, duration_s=took, **_why(shown))

    def _since(self, began: float) -> float:
        return round(self._clock.boot() - began, 3)


def _redacted(failure: Failure) -> Failure:
    return replace(failure, message=logs.redact(failure.message), fix=logs.redact(failure.fix))


def _why(failure: Failure) -> dict[str, str | None]:
    return {"reason": failure.reason, "error": failure.message, "fix": failure.fix or None}
