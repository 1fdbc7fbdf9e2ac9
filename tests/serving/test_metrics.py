"""`/metrics`: of all workers together, and for nobody without the token."""

import urllib.error

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving import servers

TOKEN = "of-prometheus"


def figures(text: str) -> dict[tuple, float]:
    """Name and labels of each sample → its value."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_it_is_the_sum_of_all_workers(database_url, tmp_path):
    settings = {"TRACEML_METRICS_TOKEN": TOKEN, "WEB_CONCURRENCY": "3"}
    with servers.portal(database_url, tmp_path / "log", **settings) as port:
        for _ in range(30):
            servers.get(port, "/accounts/login/")
        with pytest.raises(urllib.error.HTTPError):
            servers.get(port, "/api/v1/runs")
        for _ in range(3):  # whichever worker answers
            found = figures(servers.get(port, "/metrics", Authorization=f"Bearer {TOKEN}")[1].decode())
            assert found["traceml_requests_total", "200", "GET", "accounts"] == 30
            assert found["traceml_request_seconds_count", "accounts"] == 30
            assert found["traceml_refused_total", "401", "api"] == 1
    assert found["traceml_database_bytes",] > 100_000
    assert {("traceml_queue_tasks",), ("traceml_ingest_lag_seconds",), ("traceml_running_runs",)} <= set(found)


@pytest.mark.parametrize("token", ["", "Bearer wrong", "Bearer "])
@pytest.mark.parametrize("kept", ["", TOKEN])
def test_nobody_else_gets_it(client, db, settings, token, kept):
    settings.TRACEML_METRICS_TOKEN = kept
    assert client.get("/metrics", headers={"Authorization": token}).status_code == 401


def test_a_run_that_is_late_and_a_task_that_waits_are_seen(client, wire, settings):
    from datetime import timedelta

    from django.utils import timezone

    from runs import mail
    from runs.models import Run

    settings.TRACEML_METRICS_TOKEN = TOKEN
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    run = Run.objects.get(run_id=wire.start())
    Run.objects.update(last_seen_at=timezone.now() - timedelta(seconds=run.upload_interval_s + 100))
    mail.send.enqueue("alice@example.org", "Hello", "World")
    found = figures(client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode())
    assert 100 <= found["traceml_ingest_lag_seconds",] < 110
    assert found["traceml_queue_tasks",] == 1
