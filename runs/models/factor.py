"""The emission factor: one is active per deployment, a world average with its year and source."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q

from runs.models.in_force import InForce, one_active
from runs.sql.within_project import is_distributed
from traceml_agent import catalogue


class EmissionFactorManager(models.Manager["EmissionFactor"]):
    def active(self) -> "EmissionFactor":
        """Return the active factor; a new deployment starts with the one that the catalogue's data recommends."""
        factor = self.filter(active=True).first()
        if factor is None:
            self.bulk_create([self.model(**_values(catalogue.factor()), active=True)], ignore_conflicts=True)
            factor = self.get(active=True)
        return factor

    def used_by(self, runs: models.QuerySet) -> list["EmissionFactor"]:
        """Return the factors that these runs were estimated with, newest first; an index look-up each, as few exist."""
        newest = self.order_by("-year", "-pk")
        if is_distributed():  # Citus can't look up runs for each row of a table that is on every machine
            return list(newest.filter(pk__in=runs.order_by().values("factor").distinct()))
        return list(newest.filter(Exists(runs.filter(factor=OuterRef("pk")))))

    def load(self) -> int:
        """Add missing world averages from the catalogue's data; existing ones stay. Returns how many were added."""
        self.active()
        known = set(self.values_list("kg_per_kwh", "year", "source"))
        seeds = [seed for seed in catalogue.factors() if (seed.kg_per_kwh, seed.year, seed.source) not in known]
        return len(self.bulk_create([self.model(**_values(seed)) for seed in seeds]))


def _values(seed: catalogue.Factor) -> dict:
    return {"kg_per_kwh": seed.kg_per_kwh, "year": seed.year, "source": seed.source, "url": seed.url}


class EmissionFactor(InForce):
    """kgCO2e per kWh of electricity, world average."""

    kg_per_kwh = models.FloatField(validators=[MinValueValidator(0.0), MaxValueValidator(10.0)])
    year = models.PositiveSmallIntegerField(help_text="The year of the average.")
    source = models.CharField(max_length=400)
    url = models.URLField(blank=True, max_length=400)

    objects = EmissionFactorManager()

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            one_active("one_active_factor"),
            models.CheckConstraint(condition=Q(kg_per_kwh__gte=0, kg_per_kwh__lte=10), name="factor_is_plausible"),
        ]

    def __str__(self):
        return f"{self.kg_per_kwh} kg/kWh ({self.year})"
