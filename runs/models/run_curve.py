"""What a run's page shows of its older batches, in one row: the page reads this and the few batches that came later."""

from typing import NamedTuple

from django.db import models

from runs.models.batch import Columns, in_units, unpack_whole
from runs.models.project import Project
from runs.models.run import Run
from runs.sql.within_project import OfProject, OneWithinProject


class KeptSamples(NamedTuple):
    """Columns of Sample's fields, and by t_s the lowest and highest utilisation and power that a sample stands for."""

    columns: list[list]
    bounds: dict[float, tuple[float | None, float | None, float | None, float | None]]


class RunCurve(OfProject):
    """The thinned samples and logged values of a run's batches up to one of them, kept by `runs/thinning`.

    Samples are thinned by leaving some out, so each one that is kept has its exact counters. Beside the four counters
    of Sample, a kept sample has the lowest and highest utilisation and power of the samples that it stands for.
    """

    run = OneWithinProject(Run, on_delete=models.CASCADE, primary_key=True, related_name="curve")
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    through_id = models.BigIntegerField(default=0, help_text="The latest batch in it.")
    interval_ms = models.BigIntegerField(default=1000, help_text="Of each device, the last sample in each is kept.")
    longest_s = models.FloatField(default=0.0, help_text="Of its batches, by the times of their samples.")
    peaks = models.JSONField(default=dict, help_text="By writer: highest power of its devices, and when.")
    series = models.BinaryField(default=b"")
    logged = models.JSONField(default=dict, help_text="By writer: time in s, name and value of logged metrics.")
    heard_at = models.DateTimeField(null=True, help_text="When the latest batch in it arrived.")
    silences = models.JSONField(default=list, help_text="Begin and end of the last silences that made the run lost.")

    def __str__(self):
        return f"curve of {self.run_id}"

    def columns(self) -> Columns:
        """Return eight columns of thousandths by writer and device, `12/gpu-0`."""
        return unpack_whole(bytes(self.series)) if self.series else {}

    def samples(self) -> dict[tuple[int, str], KeptSamples]:
        """Return the kept samples by writer and device."""
        found = {}
        for key, columns in self.columns().items():
            writer, _, device = key.partition("/")
            t_s, *counters, least, most, low_w, high_w = map(in_units, columns)
            utilisations = ([each and each / 1000 for each in column] for column in (least, most))  # of millionths
            bounds = dict(zip(t_s, zip(*utilisations, low_w, high_w, strict=True), strict=True))
            found[int(writer), device] = KeptSamples([t_s, *counters], bounds)
        return found

    def metrics(self) -> dict[int, list]:
        """Return logged values by writer."""
        return {int(writer): rows for writer, rows in self.logged.items()}
