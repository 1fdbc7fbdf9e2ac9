"""A portal with one of everything, known by its own addresses: a new page or form is walked without a word here."""

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from unittest import mock
from urllib.parse import unquote_plus

from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.http import QueryDict
from django.test import Client
from django.urls import get_resolver

from runs.models import (
    ApiToken,
    Badge,
    Import,
    Invitation,
    Membership,
    OwnershipOffer,
    Run,
    SavedView,
    ShareLink,
    TrackedModel,
    User,
)
from tests import people as cast
from tests.fuzz.values import INTEGERS, quoted
from tests.screens.signing_in import show_once_more
from tests.site.test_doors import routes
from tests.wire import A100, CPU, Wire, batch, sample

PART = re.compile(r"<(?:(\w+):)?(\w+)>|\(\?P<(\w+)>[^)]*\)")
#: The Django admin has tests of its own, and the API has a document of its requests.
ELSEWHERE = ("/admin/", "/api/")
#: What such a form does is taken back, or soon there would be nothing to ask for.
GOES = re.compile("delete|revoke|remove|leave|logout|discard")
IN_LINKS = re.compile(r"[?&;](\w+)=([^&\"#]{1,100})")
IN_FORMS = re.compile(r'<(?:input|option|button)[^>]* value="([^"]{1,100})"')
FORM = "application/x-www-form-urlencoded"


class World:
    """Alice's browser, her team with one of everything, and what each page was found to read."""

    def __init__(self, people: cast.People):
        self.people = people
        self.client = Client(raise_request_exception=False)
        self.client.force_login(people.alice)
        show_once_more(self.client)
        self.cookies = {name: morsel.value for name, morsel in self.client.cookies.items()}
        self.wire = Wire(self.client, cast.token(people.project))
        self.run_ids = [*(_run(self.wire, status) for status in ("completed", "failed")), self.wire.start(model="new")]
        self.parts = self._parts()
        every = {route for _, route in routes(get_resolver().url_patterns) if not route.startswith(ELSEWHERE)}
        self.routes = sorted(every)
        #: By route, what its view reads of query string and form.
        self.names: dict[str, list[str]] = defaultdict(list)
        #: What links and forms of the portal's own pages hold.
        self.words: set[str] = set(self.run_ids)
        self.answered: list[str] = []
        self._walk()

    def _parts(self) -> dict[str, list[str]]:
        alice, bob = (Membership.objects.get(user=each) for each in (self.people.alice, self.people.bob))
        run = Run.objects.get(run_id=self.run_ids[0])
        subjects = (run, run.tracked_model, run.project)
        shared = [ShareLink.make(of, 7, details, self.people.alice) for of in subjects for details in (True, False)]
        badges = [Badge.make(of, "emissions", self.people.alice) for of in subjects[1:]]
        invitation, secret = Invitation.issue(alice, "member")
        view = SavedView.objects.create(user=self.people.alice, name="mine", query="kind=training")
        return {
            "team": [alice.team.slug],
            "project": [self.people.project.slug],
            "slug": [*TrackedModel.objects.values_list("slug", flat=True), "nvidia-a100-sxm4-40gb"],
            "run_id": self.run_ids,
            "form": ["csv", "json", "md", "tex", "bib", "yaml"],
            "pk": [str(view.pk)],
            "imported": [str(Import.objects.create(project=run.project, file_name="jobs.txt", state="checked").pk)],
            "number": ["0"],
            "member": [str(bob.pk), str(alice.pk)],
            "token": [str(pk) for pk in ApiToken.objects.values_list("pk", flat=True)],
            "share": [str(link.pk) for link, _ in shared],
            "badge": [str(badge.pk) for badge in badges],
            "invitation": [str(invitation.pk)],
            "offer": [str(OwnershipOffer.make(alice, bob, False).pk)],
            "secret": [*(secret for _, secret in shared), secret],
            "key": [badge.key for badge in badges],
            "provider_id": ["oidc"],
        }

    def addresses(self, route: str) -> list[str]:
        """Addresses of a route: of what there is first, then of what can't be or is not there."""
        found = [""]
        at = 0
        for match in PART.finditer(route):
            kind, name = match[1] or "str", match[2] or match[3]
            edges = {"int": [str(n) for n in INTEGERS if n >= 0], "uuid": [str(uuid.UUID(int=9))]}
            choices = [*self.parts.get(name, []), *edges.get(kind, ["x", "no-such", "new"])]
            begun = [before + route[at : match.start()] for before in found]
            found = [before + quoted(choice) for choice in choices for before in begun]
            at = match.end()
        ends = route[at:].replace("$", "").replace("\\Z", "")
        return [(before + ends).replace("^", "") for before in found]

    def _walk(self) -> None:
        """Ask for everything twice, without anything and with what was found to be read, to learn the names."""
        for given in ("", "1"):
            for route in self.routes:
                address = self.addresses(route)[0]
                asked = "&".join(f"{name}={given}" for name in self.names[route] if given and name != "team")
                read: set[str] = set(self.names[route])
                with self._watched(read), transaction.atomic():
                    page = self._answer("GET", address + (f"?{asked}" if asked else ""))
                    self._answer("POST", address, data=asked, content_type=FORM)
                    transaction.set_rollback(True)
                self.names[route] = sorted(read)
                if page.status_code == 200 and not given:
                    self.answered.append(address)
                    text = "" if page.streaming else unescape(page.content.decode())
                    self.words |= {unquote_plus(word) for _, word in IN_LINKS.findall(text)}
                    self.words |= set(IN_FORMS.findall(text))
        self.words -= set(self.cookies.values())

    @contextmanager
    def _watched(self, read: set[str]) -> Iterator[None]:
        """Learn which names a view reads."""

        class Watched(QueryDict):
            def __getitem__(self, key):
                read.add(key)
                return super().__getitem__(key)

            def getlist(self, key, default=None):
                read.add(key)
                return super().getlist(key, default)

            def __contains__(self, key):
                read.add(key)
                return super().__contains__(key)

        known = mock.patch.multiple("django.core.handlers.wsgi", QueryDict=Watched)
        with known, mock.patch("django.http.request.QueryDict", Watched):
            yield

    def _answer(self, method: str, address: str, as_stranger: bool = False, **more):
        self.client.cookies.clear()
        if not as_stranger:
            self.client.cookies.load(self.cookies)
        answer = self.client.generic(method, address, **more)
        if answer.streaming:
            b"".join(answer.streaming_content)
        return answer

    def ask(self, method: str, address: str, zone: str = "UTC", **more):
        """The answer to one request of a reader in this zone; what would leave nothing to ask for is taken back."""
        cache.clear()  # throttles would keep all but the first few out
        with transaction.atomic():
            User.objects.update(time_zone=zone)
            answer = self._answer(method, address, **more)
            if (method == "POST" and GOES.search(address)) or answer.status_code >= 500 or not self._stands():
                transaction.set_rollback(True)
        return answer

    def _stands(self) -> bool:
        alice = Membership.objects.filter(user=self.people.alice, team__slug="vision-lab", role="owner")
        is_signed_in = Session.objects.filter(pk=self.cookies["sessionid"]).exists()
        there = Run.objects.filter(run_id__in=self.run_ids).count() == len(self.run_ids)
        return is_signed_in and there and alice.filter(user__is_active=True).exists()

    def broken(self) -> list[str]:
        """The pages and lists that answered 200 at first and don't any more."""
        User.objects.update(time_zone="UTC")
        whole = ((each, each if "?" in each else f"{each}?team=all") for each in self.answered)
        statuses = {address: self._answer("GET", asked).status_code for address, asked in whole}
        return [f"{status} {address}" for address, status in statuses.items() if status != 200]


def _run(wire: Wire, status: str) -> str:
    """A run with one of everything."""
    run_id = wire.start(name=f"a run that {status}", tags=["demo"], params={"lr": 0.1, "a.b": "x", "epochs": 3})
    names, times = ("loss", "val_loss", "samples"), (0.0, 60.0, 120.0)
    more = {
        "metrics": [{"t_s": t_s, "name": name, "value": 1 / (t_s + 1)} for t_s in times for name in names],
        "stages": [{"id": f"{t_s:g}", "name": f"epoch {t_s:g}", "start_s": t_s, "end_s": t_s + 50} for t_s in times],
        "calls": [{"method": "predict", "calls": 3, "items": 30}],
        "left_out": [{"what": "metric 'x'", "reason": "not a finite number", "count": 3}],
    }
    samples = [sample("gpu-0", t_s, t_s / 2, 200 * t_s) for t_s in times]
    assert wire.send(run_id, "b-1", batch(samples, [A100, CPU], **more)).status_code == 201
    assert wire.finish(run_id, status=status).status_code == 200
    return run_id
