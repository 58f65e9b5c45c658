"""The two formats that Prometheus scrapes: its own text, and OpenMetrics. Pure.

Families and OpenMetrics are prometheus_client's. Its writer of the text format stands in a module that brings a web
server and email along, 5 of the daemon's 16 MB; so the text is written here, and a test holds it against that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ... import lean

if TYPE_CHECKING:
    from prometheus_client import metrics_core
    from prometheus_client.metrics_core import Metric
    from prometheus_client.openmetrics import exposition as openmetrics
    from prometheus_client.utils import floatToGoString
else:
    metrics_core, openmetrics, _utils = lean.modules(
        "prometheus_client", "metrics_core", "openmetrics.exposition", "utils"
    )
    floatToGoString = _utils.floatToGoString  # noqa: N816 - the library's name

TEXT, OPENMETRICS = "text/plain; version=0.0.4; charset=utf-8", openmetrics.CONTENT_TYPE_LATEST

Counter = metrics_core.CounterMetricFamily
Gauge = metrics_core.GaugeMetricFamily
Summary = metrics_core.SummaryMetricFamily


def text(families: Iterable[Metric]) -> bytes:
    """Prometheus' own format; see its docs, 'Exposition formats'."""
    return "".join(line for family in families for line in _lines(family)).encode()


def _lines(family: Metric) -> Iterator[str]:
    # A counter's samples are named `_total`; OpenMetrics leaves that out of the family's name, this format does not.
    name = f"{family.name}_total" if family.type == "counter" else family.name
    help_text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {help_text}\n# TYPE {name} {family.type}\n"
    for sample in family.samples:
        pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(sample.labels.items()))
        yield f"{sample.name}{f'{{{pairs}}}' if pairs else ''} {_number(sample.value)}\n"


def _number(value: float) -> str:
    return floatToGoString(value)  # type: ignore[no-untyped-call, no-any-return]


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def as_openmetrics(families: Iterable[Metric]) -> bytes:
    return openmetrics.generate_latest(_Collected(families))  # type: ignore[no-untyped-call, no-any-return]


class _Collected:
    """What prometheus_client wants of a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
