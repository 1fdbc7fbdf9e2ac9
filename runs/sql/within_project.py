"""Foreign keys that stay within a project: on a distributed database, what follows them names the project too.

Citus keeps the rows of a project on one machine (`runs.scaling`). It joins two tables where the rows are only if the
join compares their projects, and asks one machine instead of all only if the project is among the conditions.
"""

from collections.abc import Iterable
from typing import cast

from django.db import connection, models
from django.db.models.expressions import Col
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.db.models.lookups import Exact, In, Lookup


def is_distributed() -> bool:
    """Whether `manage.py distribute` has spread the tables of this database."""
    return getattr(connection, "is_distributed", False)  # of traceml_site.databases


class OfProject(models.Model):
    """A row of a project, which `save` finds by both its project and its id."""

    class Meta:
        abstract = True

    def _do_update(self, base_qs, *others):  # type: ignore[override]  # the rest is Django's own business
        if is_distributed() and "project_id" in self.__dict__:
            base_qs = base_qs.filter(project_id=self.__dict__["project_id"])
        return super()._do_update(base_qs, *others)  # type: ignore[call-arg]


def move(rows: models.QuerySet, before: int, after: int) -> None:
    """Give some rows of a project to another project.

    Citus never moves a row to another machine: there it is written anew, with its id, and the old one deleted.
    """
    rows = rows.filter(project=before)
    if not (is_distributed() and issubclass(rows.model, OfProject)):
        rows.update(project=after)
        return
    columns = [field.attname for field in rows.model._meta.concrete_fields if field.attname != "project_id"]
    taken, params = rows.order_by().values_list(*columns).query.sql_with_params()
    names = ", ".join(map(connection.ops.quote_name, columns))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {connection.ops.quote_name(rows.model._meta.db_table)} (project_id, {names})"  # noqa: S608
            f" SELECT %s, {names} FROM ({taken}) AS taken",
            [after, *params],
        )
    rows._raw_delete(rows.db)


class WithinProject(models.ForeignKey):
    """A foreign key between rows of the same project. Elsewhere than on Citus it is Django's own."""

    _ELSEWHERE = "ForeignKey"

    def deconstruct(self):
        name, _, args, options = super().deconstruct()
        return name, f"django.db.models.{self._ELSEWHERE}", args, options

    def get_extra_restriction(self, alias, related_alias):
        """Return the rest of a join's condition; `alias` is the table that the key leads to."""
        if not is_distributed() or alias is None:
            return None
        return Exact(_project_of(self.remote_field.model, alias), _project_of(self.model, related_alias))

    def get_extra_descriptor_filter(self, instance):
        known = _projects([instance]) if is_distributed() else []
        return {"project_id": known[0]} if known else {}


class OneWithinProject(WithinProject, models.OneToOneField):
    """The same for a row that another has at most once."""

    _ELSEWHERE = "OneToOneField"


class _NamesTheProject(Lookup):
    """A comparison with rows that are at hand, and so are their projects."""

    def __init__(self, lhs, rhs):
        self.projects = _projects(rhs if isinstance(rhs, (list, tuple, set)) else [rhs])
        super().__init__(lhs, rhs)

    def as_sql(self, compiler, connection):
        sql, params = super().as_sql(compiler, connection)
        if not is_distributed():
            return sql, params
        project = _project_of(self.lhs.target.model, self.lhs.alias)
        if self.projects:
            same: Lookup = In(project, self.projects)
        elif isinstance(self.rhs, Col) and issubclass(self.rhs.target.model, OfProject):  # of a query around this one
            same = Exact(project, _project_of(self.rhs.target.model, self.rhs.alias))
        else:
            return sql, params
        more, of_more = compiler.compile(same)
        return f"({sql} AND {more})", [*params, *of_more]


@WithinProject.register_lookup
class ExactWithinProject(_NamesTheProject, RelatedExact):
    """`run=run`, so also `run.devices`."""


@WithinProject.register_lookup
class InWithinProject(_NamesTheProject, RelatedIn):
    """`run__in=[run, …]`, so also what is prefetched and what is deleted with its run."""


def _project_of(model: type[models.Model], alias: str) -> Col:
    """Return the column of a table's projects, where the table has this alias in a query."""
    return Col(alias, cast(models.Field, model._meta.get_field("project")))


def _projects(rows: Iterable) -> list[int]:
    """Return the projects of some rows; none if something else is among them, or a row whose project is not loaded."""
    loaded = {row.__dict__.get("project_id") if isinstance(row, models.Model) else None for row in rows}
    return [] if None in loaded else sorted(cast(set[int], loaded))
