"""What a stranger sees behind a share link: that one thing, and nothing that leads on or tells of the rest."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runs.models import Project, Reestimation, Run, RunRevision, ShareLink, TrackedModel
from runs.models.reestimation import FIGURES
from tests.screens.conftest import METERED
from tests.screens.html import Page
from tests.wire import batch, sample

DETAILS = {
    "host": "gpu-host-7",
    "tags": ["secret-tag"],
    "params": {"secret-param": 0.1},
    "environment": {"secret-env": "x"},
}
HIDDEN = [
    "gpu-host-7",
    "gpu-host-8",
    "secret-tag",
    "secret-param",
    "secret-env",
    "secret-note",
    "secret-loss",
    "SecretError",
    "secret-reason",
    "87654",
    "87,654",
    "76543",
    "76,543",
]


@pytest.fixture
def detailed(wire, profile) -> Run:
    """A run on two hosts with everything that says more than its energy, beside another model's."""
    run_id = wire.start(name="the run", **DETAILS)
    card = METERED | {"note": "secret-note"}
    more = {
        "stages": [{"id": "1", "name": "epoch 1", "start_s": 0, "end_s": 60}],
        "metrics": [
            {"t_s": 5, "name": "secret-loss", "value": 0.5},
            {"t_s": 5, "name": "samples", "value": 87654},
            {"t_s": 5, "name": "tokens", "value": 76543},
        ],
        "left_out": [{"what": "metric 'secret-loss'", "reason": "not a finite number", "count": 1}],
    }
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30, 3.6e6)], [card], **more))
    other = batch([sample("gpu-0", 60, 30, 3.6e6)], [card | {"uuid": "GPU-2"}])
    wire.start(run_id, writer="w-2", host="gpu-host-8")
    wire.send(run_id, "b-2", other | {"writer": "w-2"})
    for writer in ("w-1", "w-2"):
        wire.finish(run_id, writer=writer, status="failed", exception="SecretError")
    wire.whole_run(model="other-model", name="other run")
    run = Run.objects.get(run_id=run_id)
    asked, former = Reestimation.objects.create(reason="secret-reason"), dict.fromkeys(FIGURES, 0.5)
    RunRevision.objects.create(project=run.project, run=run, reestimation=asked, factor=run.factor, **former)
    return run


def link_to(subject, with_details: bool = False, days: int = 7) -> str:
    return f"/s/{ShareLink.make(subject, days, with_details, None)[1]}/"


def opened(client, subject, with_details: bool = False) -> Page:
    return Page(client.get(link_to(subject, with_details)))


def everything_sent(page: Page) -> str:
    """All text and attributes of the page, scripts' data among them."""
    parts: list[str] = []

    def walk(element):
        parts.extend(map(str, element.attributes.values()))
        for child in element.children:
            walk(child) if not isinstance(child, str) else parts.append(child)

    walk(page.root)
    return " ".join(parts)


SUBJECTS = {
    "run": lambda run: run,
    "model": lambda run: run.tracked_model,
    "project": lambda run: run.project,
}


@pytest.fixture(params=SUBJECTS)
def subject(request, detailed):
    return SUBJECTS[request.param](detailed)


def test_a_stranger_reads_the_members_own_figures(client, alice, detailed):
    own = alice.read(f"/runs/{detailed.run_id}/")
    shared = opened(client, detailed)
    assert shared.by_id("emissions").figures == own.by_id("emissions").figures
    assert shared.by_id("energy").figures == own.by_id("energy").figures
    assert shared.data("power-data")["series"][0]["values"] == own.data("power-data")["series"][0]["values"]


def test_a_shared_model_has_its_own_figures(client, alice, detailed):
    own = alice.read("/models/digits/resnet-50/")
    shared = opened(client, detailed.tracked_model)
    assert shared.root.all("dl")[0].figures == own.root.all("dl")[0].figures
    assert shared.data("growth-data")["series"] == own.data("growth-data")["series"]


def test_a_shared_project_has_its_own_figures_and_no_other_projects(client, detailed, charlies_wire):
    charlies_wire.whole_run([sample("gpu-0", 3600, 1800, 9e6)], [METERED], model="charlies-model")
    page = opened(client, detailed.project)
    emissions_kg = sum(run.emissions_kg for run in Run.objects.filter(project=detailed.project))
    assert page.root.all("dl")[0].figures[0] == pytest.approx(emissions_kg)
    assert set(page.column(table=1)) == {"other-model", "resnet-50"}
    assert "charlies-model" not in everything_sent(page)


def test_no_link_leads_into_the_portal(client, subject):
    page = opened(client, subject, with_details=True)
    on_this_page = ("#", "?", "https://", "/methodology/")  # which is public
    assert [link for link in page.links() if link and not link.startswith(on_this_page)] == []
    assert page.root.all("form") == page.root.all("nav") == []


def test_a_share_without_details_leaves_them_out(client, subject):
    sent = everything_sent(opened(client, subject))
    assert [word for word in HIDDEN if word in sent] == []


def test_a_run_shared_with_details_has_them(client, detailed):
    sent = everything_sent(opened(client, detailed, with_details=True))
    assert [word for word in HIDDEN if word not in sent] == []


@pytest.mark.parametrize("with_details", [False, True])
def test_how_many_samples_the_runs_of_a_shared_model_logged_is_a_detail(client, wire, profile, with_details):
    run_id = wire.start(kind="inference")
    logged = [{"t_s": 5, "name": "samples", "value": 87654}]
    wire.send(run_id, "b-1", batch([sample("gpu-0", 60, 30, 3.6e6)], [METERED], metrics=logged))
    sent = everything_sent(opened(client, Run.objects.get().tracked_model, with_details))
    assert ("87,654" in sent) == with_details


@pytest.mark.parametrize("with_details", [False, True])
def test_names_of_runs_on_a_shared_model_or_project_are_details(client, detailed, with_details):
    for subject in (detailed.tracked_model, detailed.project):
        assert ("the run" in opened(client, subject, with_details).text) == with_details


def test_it_tells_of_no_team_no_person_and_no_other_model_or_run(client, detailed):
    for subject in (detailed, detailed.tracked_model):
        sent = everything_sent(opened(client, subject, with_details=True))
        for word in ("Vision lab", "vision-lab", "alice", "bob", "other-model", "other run"):
            assert word not in sent, word


def test_nobody_finds_or_keeps_it(client, subject):
    answer = client.get(link_to(subject))
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
    assert answer["Referrer-Policy"] == "same-origin"
    robots = next(meta for meta in Page(answer).root.all("meta") if meta.attributes.get("name") == "robots")
    assert robots.attributes["content"] == "noindex, nofollow"
    assert answer.cookies == {}


def test_a_signed_in_reader_gets_the_very_same_page(client, charlie, detailed):
    link = link_to(detailed)
    assert charlie.get(link).content == client.get(link).content


@pytest.mark.parametrize("secret", ["x", "A" * 43, "-", "%00", "..", "a b"])
def test_a_wrong_secret_opens_nothing(client, detailed, secret):
    link_to(detailed)
    assert client.get(f"/s/{secret}/").status_code == 404


def test_what_is_stored_opens_nothing(client, detailed):
    link_to(detailed)
    link = ShareLink.objects.get()
    assert client.get(f"/s/{link.secret_hmac}/").status_code == client.get(f"/s/{link.prefix}/").status_code == 404


def test_an_expired_link_is_like_one_that_never_was(client, detailed):
    link = link_to(detailed)
    ShareLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    expired, unknown = client.get(link), client.get(f"/s/{'A' * 43}/")
    assert expired.status_code == unknown.status_code == 404
    assert expired.content.replace(expired["X-Request-ID"].encode(), b"") == unknown.content.replace(
        unknown["X-Request-ID"].encode(), b""
    )


def test_nothing_can_be_written_by_it(client, detailed):
    link = link_to(detailed)
    assert {client.post(link).status_code, client.put(link).status_code, client.delete(link).status_code} == {405}


def test_showing_withholds_but_changes_nothing(client, detailed):
    opened(client, detailed)
    stored = Run.objects.get(pk=detailed.pk)
    assert (stored.tags, stored.exception) == (["secret-tag"], "SecretError")
    assert set(stored.writers.values_list("host", flat=True)) == {"gpu-host-7", "gpu-host-8"}


def test_an_empty_project_has_a_page_too(client, people):
    assert "This project has not used any energy yet." in opened(client, people.project).text


def test_a_model_without_runs_has_a_page_too(client, people):
    model = TrackedModel.named(people.project, "idle")
    assert "No runs." in opened(client, model).text


def test_every_kind_of_share_takes_few_queries(client, detailed, django_assert_max_num_queries):
    for subject in (detailed, detailed.tracked_model, detailed.project):
        link = link_to(subject)
        with django_assert_max_num_queries(12):
            client.get(link)


def test_the_projects_team_may_be_renamed_without_a_trace(client, people, detailed):
    Project.objects.update(name="Digits 2")
    assert "Digits 2" in opened(client, Project.objects.get(pk=detailed.project_id)).text
