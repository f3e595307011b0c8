"""What a service tells Prometheus: requests, their time by stage, and the size of its collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one application, in a registry of their own, so that two applications do not meet."""

    def __init__(self, items: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "crossbit_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "crossbit_request_seconds", "Time of a request.", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self.stages = Histogram(
            "crossbit_stage_seconds",
            "Time of a stage of a request: decode a picture, encode, search, write.",
            ("stage",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.at_work = Gauge("crossbit_requests_at_work", "Requests being answered.", registry=self.registry)
        size = Gauge("crossbit_items", "Items in the collection.", registry=self.registry)
        size.set_function(items)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self.registry)


@dataclass
class Stopwatch:
    """The milliseconds of a request by stage; each also goes to the metrics."""

    metrics: Metrics
    started: float = field(default_factory=perf_counter)
    taken: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "encode": 0.0, "search": 0.0})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside as a stage."""
        began = perf_counter()
        try:
            yield
        finally:
            seconds = perf_counter() - began
            self.taken[name] = self.taken.get(name, 0.0) + 1000 * seconds
            self.metrics.stages.labels(name).observe(seconds)

    def milliseconds(self) -> dict[str, float]:
        """The time of each stage and of all, in milliseconds, to the microsecond."""
        total = 1000 * (perf_counter() - self.started)
        return {name: round(value, 3) for name, value in {**self.taken, "total": total}.items()}
