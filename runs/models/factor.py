"""The emission factor: one active per deployment, a world average with its year and source."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from traceml_agent import catalogue


class EmissionFactorManager(models.Manager["EmissionFactor"]):
    def active(self) -> "EmissionFactor":
        """The factor in force; a new deployment starts with the one that the catalogue's data recommends."""
        factor = self.filter(active=True).first()
        if factor is None:
            self.bulk_create([self.model(**_values(catalogue.factor()), active=True)], ignore_conflicts=True)
            factor = self.get(active=True)
        return factor

    def used_by(self, runs: models.QuerySet) -> list["EmissionFactor"]:
        """The factors that these runs were estimated with, the newest first; a look-up each, as there are few."""
        of_runs = runs.filter(factor=OuterRef("pk"))
        return list(self.filter(Exists(of_runs)).order_by("-year", "-pk"))

    def load(self) -> int:
        """Add the world averages of the catalogue's data that are missing; returns how many, none is changed."""
        self.active()
        known = set(self.values_list("kg_per_kwh", "year", "source"))
        seeds = [seed for seed in catalogue.factors() if (seed.kg_per_kwh, seed.year, seed.source) not in known]
        return len(self.bulk_create([self.model(**_values(seed)) for seed in seeds]))


def _values(seed: catalogue.Factor) -> dict:
    return {"kg_per_kwh": seed.kg_per_kwh, "year": seed.year, "source": seed.source, "url": seed.url}


class EmissionFactor(models.Model):
    """kgCO2e per kWh of electricity, world average."""

    kg_per_kwh = models.FloatField(validators=[MinValueValidator(0.0), MaxValueValidator(10.0)])
    year = models.PositiveSmallIntegerField(help_text="The year that the average is of.")
    source = models.CharField(max_length=400)
    url = models.URLField(blank=True, max_length=400)
    valid_from = models.DateTimeField(default=timezone.now)
    active = models.BooleanField(default=False)

    objects = EmissionFactorManager()

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["active"], condition=Q(active=True), name="one_active_factor"),
            models.CheckConstraint(condition=Q(kg_per_kwh__gte=0, kg_per_kwh__lte=10), name="factor_is_plausible"),
        ]

    def __str__(self):
        return f"{self.kg_per_kwh:.15g} kg/kWh ({self.year})"

    @transaction.atomic
    def put_in_force(self) -> None:
        """Use this factor for runs that begin from now on; those that there are keep theirs until re-estimated."""
        type(self).objects.exclude(pk=self.pk).filter(active=True).update(active=False)
        self.active, self.valid_from = True, timezone.now()
        self.save(update_fields=["active", "valid_from"])
