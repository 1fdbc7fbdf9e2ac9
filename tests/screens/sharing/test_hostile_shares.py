"""Promise PS16 where strangers look: whatever people call things, a shared page, its settings and the audit log keep
their elements and show the name as text."""

import pytest
from django.test import Client

from runs.ingest.removal import remove_run
from runs.models import Run, ShareLink
from tests.screens.html import Page
from tests.screens.test_hostile_names import NAMES, everything_named

OWN = ("shares/", "audit/")


def pages(reader, wire, name: str) -> dict[str, Page]:
    """Every page of shares and of the audit log, where everything is called so."""
    remove_run(Run.objects.get(run_id=everything_named(wire, name)))
    run = Run.objects.get(run_id=everything_named(wire, name))
    shown = {}
    for subject in (run, run.tracked_model, run.project):
        link, secret = ShareLink.make(subject, 7, True, None)
        shown[f"shared {link.kind}"] = Page(Client().get(f"/s/{secret}/"))
    settings = f"/settings/teams/{run.project.team.slug}/"
    shown |= {path: reader.read(settings + path) for path in OWN}
    return shown | {"delete": reader.read(f"/runs/{run.run_id}/delete/")}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_adds_no_element_and_is_shown_as_text(alice, charlie, wire, charlies_wire, profile, name):
    plain, named = pages(charlie, charlies_wire, "plain"), pages(alice, wire, name)
    assert {path: page.tags for path, page in named.items()} == {path: page.tags for path, page in plain.items()}
    for path, page in named.items():
        assert " ".join(name.split()) in page.text, path
