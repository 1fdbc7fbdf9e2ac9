"""Pages and the API's reads from a streaming replica (DATABASE_REPLICA_URL), which is never behind the request.

Before such a read, the portal asks the primary up to where its log (WAL) is written, and waits a moment until the
replica has replayed it. So whatever was committed before the request is on the page: a reader's own change, an upload,
a member who was removed. If the replica is later than that, or gone, the primary answers. If it fails in the middle of
a page, the primary makes the page again: that is safe, because only GET and HEAD are read here.

A request that has written goes on with the primary, and so does everything in a transaction.
"""

import logging
import time
from contextvars import ContextVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from prometheus_client import Counter
from psycopg import errors as refusals

from traceml_site import errors
from traceml_site.metrics import kind_of

ALIAS = "replica"
#: How long a read waits for the replica, at most, and how long the primary then answers without asking.
WAIT_S, LATE_FOR_S, GONE_FOR_S = 0.1, 1.0, 5.0
#: The kinds of requests (traceml_site.metrics) that the replica may answer.
READS = ("page", "api", "shared")
ANSWERED = Counter("traceml_reads", "Pages and reads of the API, by the database that they came from.", ["database"])

WRITTEN = """
SELECT CASE current_setting('synchronous_commit') WHEN 'off'
            THEN pg_current_wal_insert_lsn() ELSE pg_current_wal_flush_lsn() END::text"""
REPLAYED = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn"
IDENTITY = "SELECT system_identifier, current_database() FROM pg_control_system()"
LAG = """
SELECT CASE WHEN pg_last_wal_replay_lsn() >= %s::pg_lsn THEN 0
            ELSE EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END"""

logger = logging.getLogger(__name__)


class Reading:
    """What one request has done so far."""

    has_written = False
    #: The replica refused something that the primary may not.
    has_failed = False

    def watch(self, execute, sql, params, many, context):
        """Query wrapper of the replica's connection: the view may answer an error itself, as the API does."""
        try:
            return execute(sql, params, many, context)
        except DatabaseError as error:
            self.has_failed = self.has_failed or not took_too_long(error)
            raise


_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


class Router:
    """Django's database router: reads of a request that the replica answers, and nothing else, go there."""

    def db_for_read(self, model, **hints) -> str:
        reading = _reading.get()
        if reading is None or reading.has_written or connection.in_atomic_block:
            return DEFAULT_DB_ALIAS
        return ALIAS

    def db_for_write(self, model, **hints) -> str:
        if reading := _reading.get():
            reading.has_written = True
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one, other, **hints) -> bool:
        return True  # the same rows

    def allow_migrate(self, db, app_label, **hints) -> bool:
        return db != ALIAS


class Middleware:
    """Has the replica answer where it can. The last one, so that everything else about a request is decided."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        """The replica's answer; None leaves the view to Django and the primary.

        Whatever the view raises is raised there again, where Django handles it.
        """
        if request.method not in ("GET", "HEAD") or kind_of(request) not in READS:
            return None
        answer = _from_replica(request, view, args, kwargs) if standing.is_up_to_date() else None
        ANSWERED.labels("primary" if answer is None else "replica").inc()
        return answer


def _from_replica(request, view, args, kwargs):
    reading = Reading()
    token = _reading.set(reading)
    try:
        with connections[ALIAS].execute_wrapper(reading.watch):
            answer = view(request, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 (raised again on the primary)
        answer = errors.busy(request) if took_too_long(error) else None
    finally:
        _reading.reset(token)
    if reading.has_failed:
        standing.look_after_failure()
        return None
    return answer


def took_too_long(error: BaseException) -> bool:
    """Whether the time limit of statements ended it: the primary would take as long again."""
    return isinstance(error.__cause__, refusals.QueryCanceled)


class Standing:
    """What this process knows of the replica."""

    def __init__(self):
        self.asked_again_at = 0.0  # time.monotonic()
        self.is_known = False  # as a replica of our primary
        self.is_gone = False

    def is_up_to_date(self) -> bool:
        """Whether the replica has all that is committed now."""
        if time.monotonic() < self.asked_again_at:
            return False
        if self.is_gone:  # one request tries, and the others need not wait for it
            self.asked_again_at = time.monotonic() + GONE_FOR_S
        (written,) = _one(DEFAULT_DB_ALIAS, WRITTEN)
        try:
            is_late = self._is_late_by_any_connection(written)
        except DatabaseError as error:
            self._is_out(str(error))
            return False
        if is_late:
            self.asked_again_at = time.monotonic() + LATE_FOR_S
            return False
        if self.is_gone:
            self.asked_again_at, self.is_gone = 0.0, False
            logger.warning("The replica is back, and pages are read from it again.")
        return True

    def lag_s(self) -> float:
        """Age of the last commit that the replica has, 0 if it has all, NaN if it is gone."""
        if self.is_gone:
            return float("nan")
        (written,) = _one(DEFAULT_DB_ALIAS, WRITTEN)
        try:
            return float(_one(ALIAS, LAG, written)[0] or 0)
        except DatabaseError:
            return float("nan")

    def look_after_failure(self) -> None:
        """After an error: whether the replica is gone, or only ended this query or connection to go on replaying."""
        connections[ALIAS].close()
        try:
            _one(ALIAS, "SELECT 1")
        except DatabaseError as error:
            self._is_out(str(error))

    def _is_late_by_any_connection(self, written: str) -> bool:
        """The connection may be from before a restart of the replica; a new one tells."""
        try:
            return self._is_late(written)
        except DatabaseError:
            if connections[ALIAS].connection is None:
                raise
            connections[ALIAS].close()
            return self._is_late(written)

    def _is_late(self, written: str) -> bool:
        if not self.is_known:
            self.is_known = self._is_ours()
        began, pause_s = time.monotonic(), 0.001
        while True:
            is_replica, has_it = _one(ALIAS, REPLAYED, written)
            if not is_replica:
                raise DatabaseError("it is no longer a replica")
            if has_it or time.monotonic() + pause_s > began + WAIT_S:
                return not has_it
            time.sleep(pause_s)
            pause_s *= 2

    def _is_ours(self) -> bool:
        if _one(ALIAS, IDENTITY) != _one(DEFAULT_DB_ALIAS, IDENTITY):
            raise DatabaseError("DATABASE_REPLICA_URL names another database than DATABASE_URL")
        return True

    def _is_out(self, reason: str) -> None:
        """Leave the replica alone for some seconds; said once."""
        connections[ALIAS].close()
        if not self.is_gone:
            logger.warning("The replica can't be read, so that the primary answers: %s", " ".join(reason.split()))
        self.is_gone, self.is_known = True, False
        self.asked_again_at = time.monotonic() + GONE_FOR_S


standing = Standing()


def _one(alias: str, sql: str, *params) -> tuple:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchone()
