"""One list of columns: what a list is headed by, filled with, sorted by and exported as."""

import csv

import pytest
from django.template.loader import get_template

from runs.models import Run
from runs.run_list.columns import CHOSEN_FROM, NAME, OF_DAYS, SORTS, exported_columns, metric, param
from runs.selection.metric_columns import MetricColumn

CELLS = [*CHOSEN_FROM.values(), *OF_DAYS, param("lr"), metric(MetricColumn("loss"))]


@pytest.mark.parametrize("column", CELLS, ids=lambda column: column.name)
def test_the_cells_of_a_column_have_a_template(column):
    assert get_template(f"run_list/cells/{column.kind}.html")


def test_a_column_that_sorts_does_it_by_what_runs_have():
    of_runs = {field.attname for field in Run._meta.concrete_fields}
    assert set(SORTS.values()) - of_runs == {"used_kwh"}  # which a list of some days adds up


def test_every_column_that_can_be_chosen_has_its_head_and_cells(alice, run):
    run(kwh=1.0, name="one", params={"lr": 0.1})
    page = alice.read("/runs/", column=list(CHOSEN_FROM), shown_param="lr")
    (cells,) = page.table()
    assert len(page.one("thead").all("th")) == len(cells) == 1 + len(CHOSEN_FROM) + 1


def test_a_head_that_sorts_is_a_link_and_another_is_none(alice, run):
    run(kwh=1.0)
    page = alice.read("/runs/", column=list(CHOSEN_FROM))
    sorting = [column.word for column in [NAME, *CHOSEN_FROM.values()] if column.order]
    assert [link.text.removesuffix(" ↓") for link in page.one("thead").all("a")] == sorting


def test_a_file_begins_with_the_columns_of_the_table(alice, run):
    run(kwh=1.0)
    header = b"".join(alice.get("/runs/export.csv?since=2020-01-01").streaming_content).decode().splitlines()[0]
    columns = exported_columns(of_days=True)
    assert next(csv.reader([header]))[: len(columns)] == columns
