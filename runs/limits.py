"""Rate limits per token, address or person, counted over all workers, on either database.

A limit is a token bucket: it allows a number at once and refills over its span. Its state is one row, the time when
the bucket is full again. Large buckets are used in blocks: each process lets a share through before it asks the row,
so that clients who send little, as agents and people do, cost nothing.
"""

import math
import threading
import time
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from runs.figures.units import counted
from runs.models import Remembered
from runs.models.audit import client_address, network_of

MINUTE, DAY = 60.0, 86_400.0
#: The share (1/32) of a bucket and its refill that each process lets through without asking the row. Smaller buckets
#: than SMALL ask the row each time.
OWN_SHARE, SMALL = 32, 100
#: The most counts in memory. Beyond that all restart, which gives each at most its own share again.
MOST_COUNTS = 20_000
SPANS = [(3600, "hour"), (60, "minute"), (1, "second")]
#: Bits that identify a client; the rest of an IPv6 address belongs to the same site.
ADDRESS_BITS = {4: 32, 6: 64}


class Exceeded(Exception):
    """A limit is used up; `wait_s` is the time until the next use, in seconds."""

    def __init__(self, limit: "Limit", wait_s: float):
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"Too many {limit.of_what}. Wait {words_of(self.wait_s)}, then try again.")


class Limit(NamedTuple):
    """`most` uses in `span_s` seconds; an unused limit may be used all at once.

    `of_what` follows "Too many" in the message. If TRACEML_LIMITS has `name`, its value is the uses per minute.
    """

    name: str
    of_what: str
    most: int = 0
    span_s: float = MINUTE

    def spend(self, who: object) -> None:
        """Count one use. Raises Exceeded if none is left."""
        most = settings.TRACEML_LIMITS.get(self.name, self.most)
        if most and (wait_s := _take(self._key(who), most, self.span_s / most)):
            raise Exceeded(self, wait_s)

    def give_back(self, who: object) -> None:
        """Undo one use of a small bucket."""
        most = settings.TRACEML_LIMITS.get(self.name, self.most)
        if most:
            with transaction.atomic():
                used = Remembered.objects.filter(key=Remembered.key_of(self._key(who)))
                used.update(until=F("until") - self.span_s / most)

    def _key(self, who: object) -> str:
        return f"limit:{self.name}:{who}"


UPLOADS = Limit("uploads", "uploads with this token")
READS = Limit("reads", "requests with this token")
PAGES = Limit("pages", "pages at once")
SEARCHES = Limit("searches", "searches at once")
EXPORTS = Limit("exports", "files at once")
SHARED = Limit("shared", "requests for this page")
#: Pages that are downloads, some of all runs or of a year.
FILES = {"run_export", "series_export", "metrics_export", "compare_export", "report_csv", "audit_csv", "export_my_data"}
#: By address, counting failures only: valid tokens and links always pass.
BAD_TOKENS = Limit("bad tokens", "requests with a wrong token from this address", 60, 5 * MINUTE)
GUESSES = Limit("guesses", "wrong links from this address", 30, 5 * MINUTE)
#: By address; allauth limits by account (ACCOUNT_RATE_LIMITS).
PASSWORDS = Limit("passwords", "wrong passwords from this address", 30, 5 * MINUTE)
#: By person, over all of their teams, and by recipient.
INVITATIONS = Limit("invitations", "invitations from you in a day", 50, DAY)
INVITED = Limit("invited", "emails to this person in a day", 5, DAY)
#: By recipient, whoever requests the email: password resets, sign-ups, address changes.
MAILS = Limit("mails", "emails to this address", 20, DAY)


def words_of(wait_s: int) -> str:
    """`40 seconds`, `5 minutes`, `3 hours`."""
    size, noun = next(((size, noun) for size, noun in SPANS if wait_s >= 2 * size), SPANS[-1])
    return counted(math.ceil(wait_s / size), noun)


def address_of(request) -> str:
    """The key of limits by address: the client's IPv4 address, or its IPv6 site."""
    return network_of(client_address(request), ADDRESS_BITS)


def spend_page(request) -> None:
    """Count a page of a signed-in person, and also a search or a download."""
    who = request.user.pk
    PAGES.spend(who)
    if request.GET.get("q"):
        SEARCHES.spend(who)
    if request.resolver_match.url_name in FILES:
        EXPORTS.spend(who)


class _Count:
    """What a process let through without asking the row, and until when it lets nothing through."""

    def __init__(self, at: float):
        self.used, self.at, self.closed_until = 0.0, at, 0.0


_counts: dict[str, _Count] = {}
_counting = threading.Lock()


def _take(about: str, most: int, every_s: float) -> float:
    """Take one of a bucket that regains one every `every_s` seconds. Returns 0, or the seconds to wait."""
    if most < SMALL:
        return _take_of_row(about, 1, most, every_s)
    now, block = time.time(), most // OWN_SHARE
    with _counting:
        if len(_counts) > MOST_COUNTS:
            _counts.clear()
        count = _counts.setdefault(about, _Count(now))
        if now < count.closed_until:
            return count.closed_until - now
        count.used = max(count.used - (now - count.at) / (OWN_SHARE * every_s), 0.0) + 1
        count.at = now
        if count.used < block:
            return 0.0
        count.used -= block
    wait_s = _take_of_row(about, block, most, every_s)
    if wait_s:
        with _counting:
            count.used, count.closed_until = block - 1.0, now + wait_s
    return wait_s


def _take_of_row(about: str, number: int, most: int, every_s: float) -> float:
    """Take several from the row that all processes share. Returns 0, or the seconds until that many are available."""
    now = time.time()
    key, latest = Remembered.key_of(about), now + (most - number) * every_s
    row = Remembered.objects.filter(key=key)
    with transaction.atomic():
        while not row.filter(until__lte=latest).update(until=Greatest(F("until"), Value(now)) + number * every_s):
            if (until := row.values_list("until", flat=True).first()) is not None:
                return until - latest
            Remembered.objects.bulk_create([Remembered(key=key, until=now)], ignore_conflicts=True)
    return 0.0
