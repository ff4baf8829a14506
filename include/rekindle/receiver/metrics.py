"""What the receiver tells a Prometheus server. Nothing here names a person, an address or a token."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rekindle.vocabulary import Stream

#: Seconds; the bar for an answer is 0.1, a local flush takes 0.0005 to 0.02, an upload 0.05 to 0.5.
COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
GROUP_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500)

#: Of a request that fits no route: its own path would make a series per guess.
NO_ROUTE = "none"


class Metrics:
    """Counters of one receiver process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "rekindle_receiver_requests",
            "Requests answered, by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._landed = Counter(
            "rekindle_receiver_landed", "Requests made durable, by stream.", ["stream"], registry=self.registry
        )
        self._landed_bytes = Counter(
            "rekindle_receiver_landed_bytes",
            "Bytes written to the landing zone, by stream.",
            ["stream"],
            registry=self.registry,
        )
        self._refused = Counter(
            "rekindle_receiver_refused",
            "Requests refused or not durable, by stream and reason.",
            ["stream", "reason"],
            registry=self.registry,
        )
        self._commits = Histogram(
            "rekindle_receiver_commit_seconds",
            "Time to make one group of requests durable.",
            ["stream"],
            buckets=COMMIT_BUCKETS,
            registry=self.registry,
        )
        self._groups = Histogram(
            "rekindle_receiver_commit_requests",
            "Requests that shared one flush.",
            ["stream"],
            buckets=GROUP_BUCKETS,
            registry=self.registry,
        )

    def answered(self, route: str, status: int) -> None:
        """One request was answered. `route` is the pattern, never the path: paths hold tokens."""
        self._requests.labels(route, str(status)).inc()

    def refused(self, stream: Stream, reason: str) -> None:
        """One request was not taken in."""
        self._refused.labels(stream, reason).inc()

    def committed(self, stream: Stream, requests: int, size: int, seconds: float) -> None:
        """One group is durable: `requests` of together `size` bytes, after `seconds`. Fits `LandingZone.on_commit`."""
        self._landed.labels(stream).inc(requests)
        self._landed_bytes.labels(stream).inc(size)
        self._commits.labels(stream).observe(seconds)
        self._groups.labels(stream).observe(requests)

    def render(self) -> tuple[bytes, str]:
        """The text a Prometheus server reads, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class CountAnswers:
    """ASGI middleware: counts every answer by its route's pattern and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", NO_ROUTE)
                self._metrics.answered(route, message["status"])
            await send(message)

        await self._app(scope, receive, count_and_send)
