"""The stages of a run, of which there may be 20,000: a page of them for the table, others for charts and forecast."""

from collections.abc import Sequence
from typing import NamedTuple

from django.core.paginator import Page, Paginator
from django.db.models import Count, Subquery

from runs.models import Run, Stage, Writer

#: Stages per page of the table.
STAGES_SHOWN = 50
#: The most stages with which a run has bands in its charts (more would be a grey block), and with which a forecast.
MOST_BANDS, MOST_FORECAST = 200, 1000


class Stages(NamedTuple):
    """The stages of the table's page and the one that follows, those that are bands in the charts, those of which a
    forecast is made, and the ones in which they may be nested."""

    page: Page
    listed: Sequence[Stage]
    bands: Sequence[Stage]
    forecast: Sequence[Stage]
    named: Sequence

    @property
    def shown(self) -> list[Stage]:
        return list(self.page)


def stages_of(run: Run, writers: dict[int, Writer], asked: str) -> Stages:
    """Read a page of the run's stages, and while it runs, those for its forecast."""
    count = Stage.objects.filter(run=run).order_by().values("run").annotate(count=Count("pk")).values("count")
    rows = run.stages.annotate(in_all=Subquery(count))
    is_running = run.state == Run.Status.RUNNING
    first = list(rows[: (MOST_FORECAST if is_running else MOST_BANDS) + 1])
    paginator = Paginator(range(first[0].in_all if first else 0), STAGES_SHOWN)
    page = paginator.get_page(asked or 1)
    start, end = max(page.start_index() - 1, 0), page.end_index()
    has_them = end < len(first) or len(first) == paginator.count
    listed = first[start : end + 1] if has_them else list(rows[start : end + 1])
    for stage in (*first, *listed):
        stage.writer = writers[stage.writer_id]
    return Stages(
        page=Page(listed[: end - start], page.number, paginator),
        listed=listed,
        bands=first if paginator.count <= MOST_BANDS else [],
        forecast=first if is_running and len(first) <= MOST_FORECAST else [],
        named=_named_before(run, first[: end + 1] if has_them else listed, has_them, end),
    )


def _named_before(run: Run, known: Sequence[Stage], has_them: bool, end: int) -> Sequence:
    """Return all stages up to the page's end, at least writer, key and parent: parents may be on earlier pages."""
    if has_them or not any(stage.parent for stage in known):
        return known
    return list(run.stages.values_list("pk", "writer_id", "key", "parent", named=True)[: end + 1])
