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
        self.at_work = 0  # requests being answered; read when the figures are
        self._requests = Counter(
            "crossbit_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "crossbit_request_seconds", "Time of a request.", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self._stages = Histogram(
            "crossbit_stage_seconds",
            "Time of a stage of a request: decode a picture, encode, search, write.",
            ("stage",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        at_work = Gauge("crossbit_requests_at_work", "Requests being answered.", registry=self.registry)
        at_work.set_function(lambda: self.at_work)
        size = Gauge("crossbit_items", "Items in the collection.", registry=self.registry)
        size.set_function(items)
        # What has these labels, looked up once: the library's own look-up takes a lock and makes strings each time.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._known_stages: dict[str, Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. method, route: of a few kinds, never what a stranger sent."""
        known = self._known.get((method, route, status))
        if known is None:
            known = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._known[method, route, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Count the time that a request spent in a stage."""
        known = self._known_stages.get(name)
        if known is None:
            known = self._known_stages[name] = self._stages.labels(name)
        known.observe(seconds)

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
            self.took(name, perf_counter() - began)

    def took(self, name: str, seconds: float) -> None:
        """Take note of a stage that was timed elsewhere."""
        self.taken[name] = self.taken.get(name, 0.0) + 1000 * seconds
        self.metrics.stage(name, seconds)

    def milliseconds(self) -> dict[str, float]:
        """The time of each stage and of all, in milliseconds, to the microsecond."""
        total = 1000 * (perf_counter() - self.started)
        return {name: round(value, 3) for name, value in {**self.taken, "total": total}.items()}
