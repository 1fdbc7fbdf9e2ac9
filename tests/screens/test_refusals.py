"""A refusal says why: the sentence that the code wrote reaches the person, on the page or as problem JSON."""

from html import unescape

import pytest
from django.core.exceptions import BadRequest, DisallowedHost, SuspiciousOperation
from django.test import RequestFactory

from runs.models import SavedView, User
from runs.run_list.saved_views import MOST_VIEWS
from traceml_site import errors

UNREADABLE = [
    ("/report/?year=x", "The parameter year must be a number."),
    ("/report/?year=inf", "The parameter year must be a number."),
    ("/runs/?since=x", "The parameter since must be a date such as 2026-05-01."),
    ("/start/digits/news?since=x", "The parameter since must be a time with its zone, such as 2026-01-31T12:00:00Z."),
    ("/runs/?q=" + "x" * 201, "The parameter q must have at most 200 characters."),
    ("/plan/?run=x", "The parameter run must be the id of a run."),
]
UNKNOWN = [
    ("/settings/theme/", {"theme": "pink"}, "The parameter theme must be one of system, light, dark."),
    ("/runs/bulk/", {"action": "paint"}, "Unknown action."),
    ("/projects/digits/better/", {"better": "x"}, "The parameter better must be lower or higher."),
    ("/projects/digits/better/", {"better": "lower", "metric": "x"}, "No run of this project logged this metric."),
]
ADMIN = [
    ("/admin/runs/auditentry/?created_at__year=x", "This list can't be filtered or paged like that."),
    ("/admin/runs/run/?q=%00", "A request must not contain the character NUL."),
]


def refusal(answer) -> str:
    assert answer.status_code == 400
    return unescape(answer.content.decode())


@pytest.mark.parametrize(("address", "sentence"), UNREADABLE)
def test_an_address_that_cannot_be_read_is_refused_in_words(alice, address, sentence):
    assert f"<p>{sentence}</p>" in refusal(alice.get(address))


@pytest.mark.parametrize(("address", "form", "sentence"), UNKNOWN)
def test_a_form_that_cannot_be_right_is_refused_in_words(alice, run, address, form, sentence):
    run()
    assert f"<p>{sentence}</p>" in refusal(alice.post(address, form))


def test_the_last_view_that_fits_is_named(alice, people):
    views = [SavedView(user=people.alice, name=f"view {number}", query="q=a") for number in range(MOST_VIEWS)]
    SavedView.objects.bulk_create(views)
    answer = alice.post("/runs/views/", {"name": "one more", "query": "q=a"})
    assert f"Limit reached: {MOST_VIEWS} saved views. Delete one first." in refusal(answer)


@pytest.mark.parametrize(("address", "sentence"), ADMIN)
def test_the_administration_refuses_in_words(client, people, address, sentence):
    client.force_login(User.objects.create_superuser("root@example.org", "x" * 12))
    assert f"<p>{sentence}</p>" in refusal(client.get(address))


def test_a_selection_of_another_list_is_refused_in_words(client, people):
    client.force_login(User.objects.create_superuser("root@example.org", "x" * 12))
    answer = client.post("/admin/runs/run/", {"action": "delete_selected", "_selected_action": "x"})
    assert "<p>The selected items are not in this list.</p>" in refusal(answer)


@pytest.mark.parametrize("refused", [BadRequest("No <b>such</b> thing."), SuspiciousOperation("No <b>such</b> thing.")])
def test_the_sentence_is_text_and_problem_json_has_it_too(db, refused):
    page, problem = (errors.bad_request(RequestFactory().get(path), refused) for path in ("/", "/api/v1/runs"))
    assert page.status_code == problem.status_code == 400
    assert "<p>No &lt;b&gt;such&lt;/b&gt; thing.</p>" in page.content.decode()
    assert problem["Content-Type"] == "application/problem+json"
    assert b'"detail": "No <b>such</b> thing."' in problem.content


def test_what_a_framework_says_for_its_log_is_not_shown(db):
    answer = errors.bad_request(RequestFactory().get("/"), DisallowedHost("Invalid HTTP_HOST header: 'evil.example'"))
    assert "evil.example" not in answer.content.decode()
    assert "The request could not be understood." in answer.content.decode()
