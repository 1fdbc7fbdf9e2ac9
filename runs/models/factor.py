"""The emission factor: one active per deployment, a world average with its year and source."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from traceml_agent import catalogue


class EmissionFactorManager(models.Manager["EmissionFactor"]):
    def active(self) -> "EmissionFactor":
        """The factor in force; a new deployment starts with the one that the catalogue's data recommends."""
        factor = self.filter(active=True).first()
        if factor is None:
            seed = catalogue.factor()
            row = self.model(kg_per_kwh=seed.kg_per_kwh, year=seed.year, source=seed.source, url=seed.url, active=True)
            self.bulk_create([row], ignore_conflicts=True)
            factor = self.get(active=True)
        return factor


class EmissionFactor(models.Model):
    """kgCO2e per kWh of electricity, world average."""

    kg_per_kwh = models.FloatField(validators=[MinValueValidator(0.0), MaxValueValidator(10.0)])
    year = models.PositiveSmallIntegerField(help_text="The year that the average is of.")
    source = models.CharField(max_length=400)
    url = models.URLField(blank=True, max_length=400)
    valid_from = models.DateTimeField(auto_now_add=True)
    active = models.BooleanField(default=False)

    objects = EmissionFactorManager()

    class Meta:
        ordering = ["-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["active"], condition=Q(active=True), name="one_active_factor"),
            models.CheckConstraint(condition=Q(kg_per_kwh__gte=0, kg_per_kwh__lte=10), name="factor_is_plausible"),
        ]

    def __str__(self):
        return f"{self.kg_per_kwh} kg/kWh ({self.year})"
