"""How much one token, address or person may ask of the portal: counted over all workers, on either database.

A limit is a bucket that fills up again: so many at once, and as many again over its span. What was used of it is one
row, the moment at which all of it has come back. Large buckets are used a block at a time: a process lets a share
through on its own account before it asks the row, so that who sends little, as agents and people do, costs nothing.
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
#: The share of a bucket, and of what comes back, that each process lets through without asking; none of small buckets,
#: whose every use counts.
OWN_SHARE, SMALL = 32, 100
#: Counts in memory; where there are more, all begin again, which gives each no more than its own share anew.
MOST_COUNTS = 20_000
SPANS = [(3600, "hour"), (60, "minute"), (1, "second")]
#: Of an IPv6 address a site has the rest.
ADDRESS_BITS = {4: 32, 6: 64}


class Exceeded(Exception):
    """A limit is used up; `wait_s` says for how long."""

    def __init__(self, limit: "Limit", wait_s: float):
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"Too many {limit.of_what}. Wait {words_of(self.wait_s)}, then try again.")


class Limit(NamedTuple):
    """`most` in `span_s` seconds; who has used none may use all of it at once.

    `of_what` goes on after "Too many"; where `name` is one of TRACEML_LIMITS, that says how many in a minute.
    """

    name: str
    of_what: str
    most: int = 0
    span_s: float = MINUTE

    def spend(self, who: object) -> None:
        """Use one of it. Raises Exceeded where there is none."""
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
#: The pages that are files: of all runs, of a year.
FILES = {"run_export", "series_export", "metrics_export", "compare_export", "report_csv", "audit_csv", "export_my_data"}
#: By address, and only of what fails: whoever has the right one passes, wherever others guess from.
BAD_TOKENS = Limit("bad tokens", "requests with a wrong token from this address", 60, 5 * MINUTE)
GUESSES = Limit("guesses", "wrong links from this address", 30, 5 * MINUTE)
#: By address; those by account are allauth's (ACCOUNT_RATE_LIMITS).
PASSWORDS = Limit("passwords", "wrong passwords from this address", 30, 5 * MINUTE)
#: By person, over all of their teams, and by the address that is written to.
INVITATIONS = Limit("invitations", "invitations by you in a day", 50, DAY)
INVITED = Limit("invited", "mails to this person in a day", 5, DAY)
#: By the address that is written to, whoever asks for it: resets, sign-ups, changes.
MAILS = Limit("mails", "mails to this address", 20, DAY)


def words_of(wait_s: int) -> str:
    """`40 seconds`, `5 minutes`, `3 hours`."""
    size, noun = next(((size, noun) for size, noun in SPANS if wait_s >= 2 * size), SPANS[-1])
    return counted(math.ceil(wait_s / size), noun)


def address_of(request) -> str:
    """Whom a limit by address is for: the client's own address, of IPv6 its site."""
    return network_of(client_address(request), ADDRESS_BITS)


def spend_page(request) -> None:
    """Count a page of a signed-in person, and what costs more than a page."""
    who = request.user.pk
    PAGES.spend(who)
    if request.GET.get("q"):
        SEARCHES.spend(who)
    if request.resolver_match.url_name in FILES:
        EXPORTS.spend(who)


class _Count:
    """What a process let through on its own account, and until when it lets nothing through."""

    def __init__(self, at: float):
        self.used, self.at, self.closed_until = 0.0, at, 0.0


_counts: dict[str, _Count] = {}
_counting = threading.Lock()


def _take(about: str, most: int, every_s: float) -> float:
    """Take one, of which one comes back every so many seconds; 0, or the seconds to wait."""
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
    """Take a number of them from what all processes share; 0, or the seconds until there are so many."""
    now = time.time()
    key, latest = Remembered.key_of(about), now + (most - number) * every_s
    row = Remembered.objects.filter(key=key)
    with transaction.atomic():
        while not row.filter(until__lte=latest).update(until=Greatest(F("until"), Value(now)) + number * every_s):
            if (until := row.values_list("until", flat=True).first()) is not None:
                return until - latest
            Remembered.objects.bulk_create([Remembered(key=key, until=now)], ignore_conflicts=True)
    return 0.0
