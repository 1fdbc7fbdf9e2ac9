"""What runs with something in common add up to, so that groups of a million runs are read at once."""

from django.db import models
from django.db.models import Q


class RunSums(models.Model):
    """Sums over the ended runs of a model, a kind and a value that they share. Triggers keep it (runs/sql/run_sums.py).

    `facet` says what is shared: nothing, `member`, `end` (status and exception, with a colon between), `tags` and
    `hardware` (lists in JSON), or `param:` and a name, with the value in JSON. All rows may be summed, also several of
    one value: PostgreSQL adds new rows, so that no upload waits for another, and `compact` merges them.
    """

    #: Not foreign keys: what was deleted with its project is subtracted after the project is gone.
    project_id = models.BigIntegerField()
    tracked_model_id = models.BigIntegerField()
    kind = models.CharField(max_length=12)
    is_archived = models.BooleanField()
    facet = models.TextField()
    value = models.TextField()
    runs = models.BigIntegerField()
    duration_s = models.FloatField()
    energy_kwh = models.FloatField()
    emissions_kg = models.FloatField()
    shared_kwh = models.FloatField()
    shared_kg = models.FloatField()
    squared_kwh = models.FloatField(help_text="Sum of the squares of energy_kwh, for standard deviations.")
    squared_kg = models.FloatField(help_text="The same of emissions_kg.")
    is_new = models.BooleanField(default=False, help_text="Not merged yet.")

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "facet"], name="run_sums_by_facet"),
            models.Index(fields=["id"], condition=Q(is_new=True), name="run_sums_new"),
        ]
        verbose_name_plural = "run sums"

    def __str__(self):
        return f"{self.facet} {self.value}"
