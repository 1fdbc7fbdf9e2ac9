"""A search finds the same on both databases, through an index that follows every write of a run."""

import json
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from runs.models import EmissionFactor, Project, Run, TrackedModel
from runs.selection.choices import Members
from runs.selection.finding import narrowest
from runs.selection.run_filters import RunFilters, matching

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = [
    'say "no" NEAR AND',
    "100 % of a_b*",
    "模型训练 β",
    "Größe ÄÖ",
    "back\\slash",
    "plain-run",
    "ab",
    "",
    "<1>",
    "a:b^c (d)",
]
PARAMS = {
    "lr": 0.1,
    "batch": 64,
    "opt": "AdamW",
    "fast": True,
    "none": None,
    "a:b": "c=d",
    "sizes": [1, 2],
    "long": "x" * 300,
}


@pytest.fixture
def stored(people):
    """A run for each of NAMES, with tags, parameters and hardware, in a model called bert."""
    model = TrackedModel.objects.create(project=people.project, name="Bert base", slug="bert")
    factor = EmissionFactor.objects.active()
    runs = [
        Run(project=people.project, tracked_model=model, run_id=f"{n:08x}{n:024x}", name=name, tags=[f"tag {n}", name],
            params=PARAMS | {"seed": n, "ratio": n / 3}, hardware=["nvidia-l4"], started_at=BEGUN, factor=factor)
        for n, name in enumerate(NAMES, start=1)
    ]  # fmt: skip
    Run.objects.bulk_create(runs)
    return people.project


def found(project, **filters) -> list[str]:
    """The names that a filter leaves, after asserting that the index leads to no fewer."""
    asked, members, runs = RunFilters(**filters), Members({}), Run.objects.filter(project=project)
    wanted = set(matching(runs, asked, members).values_list("name", flat=True))
    if known := narrowest([project.pk], asked, members):
        through = matching(runs.filter(pk__in=known.pks), asked, members)
        assert set(through.values_list("name", flat=True)) == wanted
    return sorted(wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"no"', [NAMES[0]]),
        ("NEAR AND", [NAMES[0]]),
        ("near", [NAMES[0]]),
        ("% of", [NAMES[1]]),
        ("%", [NAMES[1]]),
        ("a_b*", [NAMES[1]]),
        ("模型训", [NAMES[2]]),
        ("训练", [NAMES[2]]),
        ("öße", [NAMES[3]]),
        ("k\\s", [NAMES[4]]),
        ("PLAIN", [NAMES[5]]),
        ("<1>", [NAMES[8]]),
        ("b^c (", [NAMES[9]]),
        ("ab", ["ab"]),
        ("tag 3", [NAMES[2]]),
        ("00000004", [NAMES[3]]),
        ("seed:7", ["ab"]),
        ("ratio:1", [NAMES[2]]),
        ("lr:0.10", sorted(NAMES)),
        ("OPT:adamw", []),
        ("opt:ADAMW", sorted(NAMES)),
        ("fast:True", sorted(NAMES)),
        ("none:null", sorted(NAMES)),
        ("a:b:C=D", sorted(NAMES)),
        ("sizes:[1, 2]", sorted(NAMES)),
        ("bert", sorted(NAMES)),
        ("nosuch", []),
        ("' OR 1=1 --", []),
    ],
)
def test_a_search_finds_texts_with_any_signs(stored, text, expected):
    assert found(stored, search=text) == expected


@pytest.mark.parametrize(
    "filters",
    [
        {"tag": "tag 3"},
        {"main_hardware": "nvidia-l4"},
        *({"param": json.dumps(asked)} for asked in ({"batch": 64.0}, {"long": "x" * 300}, {"none": None})),
        *({"param": json.dumps(asked)} for asked in ({"sizes": [1, 2], "seed": 3}, {"fast": True})),
    ],
    ids=str,
)
def test_a_filter_finds_as_much_through_the_index(stored, filters):
    assert found(stored, **filters)


def test_the_index_follows_every_write(stored):
    (run,) = Run.objects.filter(name="plain-run")
    Run.objects.filter(pk=run.pk).update(name="renamed", tags=["other"], params={"seed": 99})
    assert (found(stored, search="renamed"), found(stored, search="plain-run")) == (["renamed"], [])
    assert (found(stored, tag="other"), found(stored, search="seed:99")) == (["renamed"], ["renamed"])
    Run.objects.filter(pk=run.pk).update(archived_at=timezone.now())
    assert (found(stored, tag="other"), found(stored, tag="other", archived="only")) == ([], ["renamed"])
    other = Project.make(stored.team, "Other")
    Run.objects.filter(pk=run.pk).update(project=other, archived_at=None)
    assert (found(stored, search="renamed"), found(other, search="renamed")) == ([], ["renamed"])
    Run.objects.filter(pk=run.pk).delete()
    assert (found(other, search="renamed"), found(other, tag="other")) == ([], [])


def test_nobody_s_index_leads_to_another_project_s_runs(stored, people):
    other = Project.make(people.project.team, "Other")
    assert narrowest([other.pk], RunFilters(search="plain-run"), Members({})).number == 0
    assert narrowest([other.pk], RunFilters(tag="tag 3"), Members({})).number == 0
