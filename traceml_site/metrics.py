"""`/metrics` for Prometheus, protected by its own token: requests of all workers, and the state of the portal.

Each worker counts its requests. prometheus_client's multiprocess mode adds them up in a folder that
traceml_site/serving/gunicorn.py creates. Database figures are read on each request.
"""

import hmac
import logging
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from traceml_site import logs

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Statuses that count as refusals; 404 is left out, because it is often a mistyped address.
REFUSALS = (400, 401, 403, 409, 411, 413, 415, 422, 429)
#: Runs that have been silent for longer count as lost, not late.
LATE_WITHIN = timedelta(hours=1)

REQUESTS = Counter("traceml_requests", "Requests answered.", ["kind", "method", "status"])
REFUSED = Counter("traceml_refused", "Requests refused, by status.", ["kind", "status"])
SECONDS = Histogram("traceml_request_seconds", "Time from request to response.", ["kind"])
logger = logging.getLogger("traceml.requests")


def measured(get_response):
    """Count and time each request, and log it with TRACEML_LOG_REQUESTS. Health probes are skipped."""

    def middleware(request):
        if request.path_info == "/healthz":
            return get_response(request)
        began = time.perf_counter()
        response = get_response(request)
        seconds, kind = time.perf_counter() - began, kind_of(request)
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(kind, method, response.status_code).inc()
        SECONDS.labels(kind).observe(seconds)
        if response.status_code in REFUSALS:
            REFUSED.labels(kind, response.status_code).inc()
        facts = {"method": method, "path": request.path, "status": response.status_code, "ms": round(1000 * seconds, 1)}
        logger.info(
            "%(method)s %(path)s %(status)s %(ms)s ms", facts, extra={k: logs_safe(v) for k, v in facts.items()}
        )
        return response

    return middleware


def logs_safe(value):
    """Mask secrets in fields of their own, which the formatter does not mask."""
    return logs.masked(value) if isinstance(value, str) else value


def kind_of(request) -> str:
    """The kind of a request: few values, because each is a separate time series forever."""
    path = request.path_info
    if path.startswith("/api/"):
        return "ingest" if request.method in ("PUT", "POST") else "api"
    for prefix, kind in (("/static/", "static"), ("/admin/", "admin"), ("/accounts/", "accounts"), ("/s/", "shared")):
        if path.startswith(prefix):
            return kind
    return "page"


@login_not_required
def metrics(request):
    """The metrics, for clients with TRACEML_METRICS_TOKEN; for nobody if it is not set."""
    from runs import limits  # imported late: its models need the settings, which name this module

    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if not settings.TRACEML_METRICS_TOKEN or not hmac.compare_digest(given, settings.TRACEML_METRICS_TOKEN.encode()):
        if given:
            limits.BAD_TOKENS.spend(limits.address_of(request))
        return HttpResponse("Send the metrics token as a Bearer token.\n", "text/plain", 401)
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)
        requests = generate_latest(registry)
    else:
        requests = generate_latest(REGISTRY)
    own = CollectorRegistry()
    own.register(State())
    return HttpResponse(requests + generate_latest(own), CONTENT_TYPE_LATEST)


class State(Collector):
    """Current figures from the database."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        from django_tasks_db.models import DBTaskResult

        from runs.models import Arrival, Reestimation, Run

        now = timezone.now()
        heard = Run.objects.unfinished().filter(last_seen_at__gt=now - LATE_WITHIN)
        late_s = [
            (now - at).total_seconds() - every_s
            for at, every_s in heard.values_list("last_seen_at", "upload_interval_s")
        ]
        waiting = DBTaskResult.objects.ready()
        oldest = waiting.order_by("enqueued_at").values_list("enqueued_at", flat=True).first()
        yield _gauge(
            "traceml_running_runs", "Runs that sent data within the last hour and have not ended.", len(late_s)
        )
        yield _gauge(
            "traceml_ingest_lag_seconds",
            "How far the most delayed of these runs is behind its own upload interval.",
            max(0.0, *late_s) if late_s else 0.0,
        )
        first = Arrival.objects.first_times().values_list("received_at", flat=True).first()
        yield _gauge(
            "traceml_totals_behind_seconds",
            "How far the totals are behind what was uploaded.",
            (now - first).total_seconds() if first else 0.0,
        )
        yield _gauge("traceml_queue_tasks", "Tasks waiting for the worker.", waiting.count())
        yield _gauge(
            "traceml_queue_oldest_seconds",
            "Age of the oldest waiting task.",
            (now - oldest).total_seconds() if oldest else 0.0,
        )
        failed = DBTaskResult.objects.failed().count()
        yield _gauge("traceml_queue_failed_tasks", "Tasks that failed and are not retried automatically.", failed)
        yield _gauge(
            "traceml_reestimations_pending",
            "Pending recalculations of past runs.",
            Reestimation.objects.pending().count(),
        )
        yield _gauge("traceml_database_bytes", "Size of the database on disk.", database_bytes())
        if "replica" in settings.DATABASES:
            from traceml_site.databases.replica import standing  # imported late: it counts requests by their kind

            yield _gauge("traceml_replica_used", "Whether pages are read from the replica.", standing.is_up_to_date())
            yield _gauge("traceml_replica_lag_seconds", "How far the replica is behind the primary.", standing.lag_s())


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=value)


def database_bytes() -> int:
    if connection.vendor == "sqlite":
        path = str(connection.settings_dict["NAME"])
        files = [Path(path + end) for end in ("", "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return cursor.fetchone()[0]
