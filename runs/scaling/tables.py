"""Which tables a Citus coordinator spreads over its workers, and why; `docs/scaling.md` repeats it."""

from enum import StrEnum

from django.apps import apps


class TablePlace(StrEnum):
    #: In shards on the workers, the rows of a project together.
    DISTRIBUTED = "distributed"
    #: Whole on every machine, so that each can join with it.
    REFERENCE = "reference"
    #: On the coordinator alone.
    LOCAL = "local"


#: Every table of ours and why it is there. Those of other packages are local: nothing joins them with runs.
PLACES: dict[str, tuple[TablePlace, str]] = {
    "runs.Run": (TablePlace.DISTRIBUTED, "grows with runs"),
    "runs.TrackedModel": (TablePlace.DISTRIBUTED, "joined with its runs and totals"),
    "runs.Writer": (TablePlace.DISTRIBUTED, "grows with runs and their processes"),
    "runs.Device": (TablePlace.DISTRIBUTED, "grows with runs and their devices"),
    "runs.Stage": (TablePlace.DISTRIBUTED, "grows with runs and their stages"),
    "runs.Call": (TablePlace.DISTRIBUTED, "grows with runs and their methods"),
    "runs.Metric": (TablePlace.DISTRIBUTED, "grows with runs and their metrics"),
    "runs.Batch": (TablePlace.DISTRIBUTED, "grows with samples; most of the bytes"),
    "runs.Arrival": (TablePlace.DISTRIBUTED, "every upload adds one, beside its batch"),
    "runs.RunCurve": (TablePlace.DISTRIBUTED, "grows with long runs; read with their batches"),
    "runs.RunRevision": (TablePlace.DISTRIBUTED, "grows with runs and their recalculations"),
    "runs.RunUsage": (TablePlace.DISTRIBUTED, "grows with runs and their days"),
    "runs.DailyUsage": (TablePlace.DISTRIBUTED, "grows with models and days"),
    "runs.MonthlyUsage": (TablePlace.DISTRIBUTED, "grows with models and months"),
    "runs.TaggedUsage": (TablePlace.DISTRIBUTED, "grows with models, tags and days"),
    "runs.ProjectUsage": (TablePlace.DISTRIBUTED, "grows with days; uploads of a project change it"),
    "runs.Correction": (TablePlace.DISTRIBUTED, "grows with recalculations, models and days"),
    "runs.DeletedRun": (TablePlace.DISTRIBUTED, "grows with deleted runs; an upload asks for it"),
    "runs.User": (TablePlace.REFERENCE, "lists of runs show who sent each"),
    "runs.Team": (TablePlace.REFERENCE, "lists of runs show whose each is"),
    "runs.Membership": (TablePlace.REFERENCE, "decides which runs a person may see"),
    "runs.Project": (
        TablePlace.REFERENCE,
        "joins teams with runs; its slug is unique among all, so it can't be spread",
    ),
    "runs.EmissionFactor": (TablePlace.REFERENCE, "shown beside a run; a handful of rows"),
    "runs.Pue": (TablePlace.REFERENCE, "read with what a new run begins with; a handful of rows"),
    "runs.MetricDirection": (
        TablePlace.REFERENCE,
        "decides in lists of runs which value of a metric is best; few rows",
    ),
    "runs.ShareLink": (TablePlace.REFERENCE, "found by its secret before the project is known; joined with its run"),
    "runs.Badge": (TablePlace.REFERENCE, "found by its key before the project is known; joined with its model"),
    "hardware.HardwareProfile": (TablePlace.REFERENCE, "shown beside a device; grows with the catalogue"),
    "runs.ApiToken": (TablePlace.LOCAL, "found by its secret before the project is known"),
    "runs.AuditEntry": (TablePlace.LOCAL, "read by itself"),
    "runs.Import": (TablePlace.LOCAL, "read by itself; a run keeps its id"),
    "runs.ImportPart": (TablePlace.LOCAL, "read with its import; deleted after a day"),
    "runs.ImportStep": (TablePlace.LOCAL, "read with its import"),
    "runs.Invitation": (TablePlace.LOCAL, "read by itself"),
    "runs.OwnershipOffer": (TablePlace.LOCAL, "read by itself"),
    "runs.Reestimation": (
        TablePlace.LOCAL,
        "its progress is saved while it works: on every machine, two would deadlock",
    ),
    "runs.Refusal": (TablePlace.LOCAL, "one row a project; read by itself"),
    "runs.Remembered": (TablePlace.LOCAL, "attempts and rate limits; read by itself"),
    "runs.RunSums": (TablePlace.LOCAL, "empty: triggers keep it, which Citus doesn't allow on spread tables"),
    "runs.SavedView": (TablePlace.LOCAL, "read by itself"),
    "runs.Trashed": (TablePlace.LOCAL, "read by itself; what is in the trash is in its project"),
    "hardware.CatalogueState": (TablePlace.LOCAL, "one row"),
    "hardware.CloudInstance": (TablePlace.LOCAL, "read by itself"),
    "hardware.HardwareAlias": (TablePlace.LOCAL, "read with its profile"),
    "hardware.HistoricalHardwareProfile": (TablePlace.LOCAL, "read by itself"),
}


#: What triggers on the table of runs fill. Citus allows none on a table that it spreads, so these are empty there.
FILLED_BY_TRIGGERS = ("runs_runsums", "runs_runwords")


def table_names(place: TablePlace) -> list[str]:
    """Return the names of the tables of a place."""
    return [apps.get_model(label)._meta.db_table for label, (found, _) in PLACES.items() if found == place]
