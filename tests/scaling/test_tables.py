"""What is distributed by project can be: each of its tables, keys and references contains the project."""

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import ForeignKey, UniqueConstraint

from runs.models import Project
from runs.scaling.tables import PLACES, TablePlace
from runs.sql.within_project import OfProject, WithinProject, is_distributed
from tests.documents import ROOT

DISTRIBUTED = [apps.get_model(label) for label, (place, _) in PLACES.items() if place == TablePlace.DISTRIBUTED]


@pytest.mark.django_db
def test_elsewhere_than_on_citus_it_refuses_with_a_sentence():
    if is_distributed():
        pytest.skip("this database is distributed")
    with pytest.raises(CommandError, match=r"^This database is not a Citus coordinator, .*\.$"):
        call_command("distribute", stdout=StringIO())


def test_every_table_of_ours_has_its_place():
    ours = [model for name in ("runs", "hardware") for model in apps.get_app_config(name).get_models()]
    assert {model._meta.label for model in ours if not model._meta.proxy} == set(PLACES)


def test_what_is_distributed_is_saved_and_moved_by_its_project():
    assert set(DISTRIBUTED) == {
        model for model in apps.get_models() if issubclass(model, OfProject) and not model._meta.proxy
    }


def test_the_docs_say_of_each_table_where_it_is_and_why():
    text = (ROOT / "docs" / "scaling.md").read_text()
    told = text.partition("<!-- places: begin -->\n")[2].partition("<!-- places: end -->")[0]
    assert told.splitlines()[2:] == [
        f"| `{apps.get_model(label)._meta.db_table}` | {place} | {why} |" for label, (place, why) in PLACES.items()
    ]


@pytest.mark.parametrize("model", DISTRIBUTED, ids=lambda model: model.__name__)
def test_a_distributed_table_can_be_spread_by_project_and_joined_within_it(model):
    assert model._meta.get_field("project").related_model is Project
    assert not [field.name for field in model._meta.fields if field.unique and not field.primary_key]
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            # `distribute` adds the project to keys of plain columns; it would not see an index with a condition.
            assert constraint.fields and not constraint.condition and not constraint.expressions, constraint.name
    for field in model._meta.fields:
        if isinstance(field, ForeignKey) and field.related_model in DISTRIBUTED:
            assert isinstance(field, WithinProject), field.name
