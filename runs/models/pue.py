"""PUE: total energy of a data centre divided by that of its IT equipment. One is in force per portal, 1 by default."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from runs.models.in_force import InForce, one_active

#: The figure covers only the devices.
DEVICES_ALONE = 1.0
MOST = 5.0


class PueManager(models.Manager["Pue"]):
    def active(self) -> "Pue":
        """Return the PUE in force; a new portal starts with 1."""
        found = self.filter(active=True).first()
        if found is None:
            first = self.model(value=DEVICES_ALONE, source="The devices alone.", active=True)
            self.bulk_create([first], ignore_conflicts=True)
            found = self.get(active=True)
        return found


class Pue(InForce):
    """Power usage effectiveness: energy is multiplied by it to calculate emissions."""

    value = models.FloatField("PUE", validators=[MinValueValidator(DEVICES_ALONE), MaxValueValidator(MOST)])
    source = models.CharField(max_length=400, help_text="Who measured it, for which building and year.")

    objects = PueManager()

    class Meta:
        ordering = ["-valid_from"]
        verbose_name = verbose_name_plural = "PUE"
        constraints = [
            one_active("one_active_pue"),
            models.CheckConstraint(condition=Q(value__gte=DEVICES_ALONE, value__lte=MOST), name="pue_is_plausible"),
        ]

    def __str__(self):
        return f"{self.value:g}"
