"""What a Prometheus server is told: counts by pattern, stream and reason; never a token."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from rekindle.clock import SteppedClock
from rekindle.receiver.landing import LandingZone
from rekindle.receiver.metrics import CountAnswers, Metrics
from rekindle.vocabulary import Stream


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample as a Prometheus server reads it, but for the time of creation."""
    text, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_answers_are_counted_by_the_routes_pattern_and_status(metrics: Metrics) -> None:
    app = FastAPI()

    @app.get("/u/{token}")
    async def ask(token: str) -> dict[str, str]:
        if token == "bad":
            raise HTTPException(404)
        return {}

    app.add_middleware(CountAnswers, metrics=metrics)
    with TestClient(app) as client:
        for path in ("/u/secret-token", "/u/other-token", "/u/bad", "/wp-login.php", "/.env"):
            client.get(path)
    found = samples(metrics)
    assert found["rekindle_receiver_requests_total['/u/{token}', '200']"] == 2
    assert found["rekindle_receiver_requests_total['/u/{token}', '404']"] == 1
    assert found["rekindle_receiver_requests_total['404', 'none']"] == 2  # no series per guess
    assert b"token/" not in metrics.render()[0]
    assert b"secret" not in metrics.render()[0]


def test_each_commit_of_the_landing_zone_is_measured(
    metrics: Metrics, tmp_path: Path, stepped_clock: SteppedClock
) -> None:
    zone = LandingZone(tmp_path / "landing", stepped_clock, linger=30, on_commit=metrics.committed)
    futures = [zone.append(Stream.APP_EVENTS, {"n": number}) for number in range(3)]
    zone.close()
    path = futures[0].result(5)
    found = samples(metrics)
    assert found["rekindle_receiver_landed_total['app_events']"] == 3
    assert found["rekindle_receiver_landed_bytes_total['app_events']"] == path.stat().st_size
    assert found["rekindle_receiver_commit_seconds_count['app_events']"] == 1
    assert found["rekindle_receiver_commit_requests_sum['app_events']"] == 3
    assert 0 < found["rekindle_receiver_commit_seconds_sum['app_events']"] < 30


def test_what_failed_is_not_counted_as_landed(metrics: Metrics, tmp_path: Path, stepped_clock: SteppedClock) -> None:
    (tmp_path / "file").write_text("")
    zone = LandingZone(tmp_path / "file" / "landing", stepped_clock, on_commit=metrics.committed)
    with pytest.raises(OSError, match="file"):
        zone.append(Stream.APP_EVENTS, {}).result(5)
    metrics.refused(Stream.APP_EVENTS, "not_durable")
    found = samples(metrics)
    assert found["rekindle_receiver_refused_total['app_events', 'not_durable']"] == 1
    assert not [name for name in found if name.startswith("rekindle_receiver_landed_total")]


def test_two_receivers_in_one_process_do_not_share_counters(metrics: Metrics) -> None:
    metrics.refused(Stream.APP_EVENTS, "x")
    assert samples(Metrics()) == {}
