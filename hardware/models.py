"""Hardware profiles: the power of device models, editable by admins and matched to device names that runs report."""

import math
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from traceml_agent import estimation
from traceml_agent.catalogue import Catalogue

MAX_POWER_W = 100_000.0
MAX_MEMORY_GB = 100_000.0
MAX_PEAK = 1e6
MAX_CORES = 100_000
MAX_COUNT = 100_000.0  # of the largest pods of a cloud, with room
PEAKS = ("bf16_tflops", "fp8_tflops", "peak_tflops", "memory_gb_per_s")
#: Fields that estimates depend on; changing any of them makes a new revision.
POWER_FIELDS = (
    *("kind", "name", "confidence", "unit", "fallback", "cores", "memory_gb"),
    *("tdp_w", "idle_w", "full_load_w"),
)


def finite(value: float) -> None:
    """Refuse nan, which passes all bounds because every comparison with it is false, and infinity."""
    if not math.isfinite(value):
        raise ValidationError("Must be a finite number.")


def _bounds(least: float, most: float) -> list:
    return [finite, MinValueValidator(least), MaxValueValidator(most)]


def _power(**options) -> models.FloatField:
    return models.FloatField(null=True, blank=True, validators=_bounds(0.0, MAX_POWER_W), **options)


def _peak(name: str, help_text: str = "") -> models.FloatField:
    return models.FloatField(name, null=True, blank=True, validators=_bounds(0.001, MAX_PEAK), help_text=help_text)


def _plausible(field: str, least: float, most: float) -> models.CheckConstraint:
    """A check constraint for both bounds. It also refuses nan, which PostgreSQL sorts above all numbers."""
    condition = Q(**{field: None}) | Q(**{f"{field}__gte": least, f"{field}__lte": most})
    return models.CheckConstraint(condition=condition, name=f"{field}_is_plausible")


class CatalogueState(models.Model):
    """One row with a version that changes with every edit, so that each process knows when its index is outdated."""

    version = models.PositiveBigIntegerField(default=0)

    def __str__(self):
        return f"version {self.version}"

    @classmethod
    def renew(cls) -> None:
        """Change the version; call it in the transaction of the edit."""
        # Random, not counted: a rolled-back count would be used again, and an old index would pass as the new one.
        cls.objects.update_or_create(pk=1, defaults={"version": secrets.randbits(62)})

    @classmethod
    def current(cls) -> int:
        return cls.objects.filter(pk=1).values_list("version", flat=True).first() or 0


class HardwareProfileManager(models.Manager["HardwareProfile"]):
    _cached: tuple[tuple[str, int], Catalogue] | None = None
    _making = threading.Lock()

    def catalogue(self) -> Catalogue:
        """The index of all profiles for matching names; rebuilt in each process when the catalogue has changed.

        One thread builds it while the others wait, because uploads hold locks meanwhile.
        """
        stamp = (self.db, CatalogueState.current())
        cached = type(self)._cached
        if cached is None or cached[0] != stamp:
            with self._making:
                cached = type(self)._cached
                if cached is None or cached[0] != stamp:
                    type(self)._cached = cached = stamp, Catalogue(self._indexed())
        return cached[1]

    def _indexed(self) -> Iterator["Indexed"]:
        """All profiles as plain values: model objects took ten times as long and as much memory."""
        aliases: dict[int, list[str]] = defaultdict(list)
        for profile_id, name in HardwareAlias.objects.values_list("profile_id", "name"):
            aliases[profile_id].append(name)
        for pk, *values in self.values_list("pk", *Indexed.FIELDS):
            yield Indexed(pk, values, aliases[pk])


class HardwareProfile(models.Model):
    """A device model with its TDP, idle and full-load power in watts for one `unit` of it."""

    class Kind(models.TextChoices):
        GPU = "gpu", "GPU"
        CPU = "cpu", "CPU"
        RAM = "ram", "Memory"
        TPU = "tpu", "TPU"
        NPU = "npu", "NPU"
        OTHER = "other", "Other"

    class Unit(models.TextChoices):
        DEVICE = "device", "whole device"
        CORE = "core", "core"
        THREAD = "thread", "hardware thread"
        GB = "gb", "GB"

    class Confidence(models.TextChoices):
        DATASHEET = "datasheet"
        DATABASE = "database"
        ESTIMATE = "estimate"

    slug = models.SlugField(max_length=80, unique=True)
    vendor = models.CharField(max_length=40, blank=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    family = models.CharField(max_length=60, blank=True)
    form_factor = models.CharField(max_length=40, blank=True)
    memory_gb = models.FloatField(null=True, blank=True, validators=_bounds(0.0, MAX_MEMORY_GB))
    cores = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(MAX_CORES)])
    threads = models.PositiveIntegerField(null=True, blank=True, validators=[MaxValueValidator(MAX_CORES)])
    tdp_w = models.FloatField("TDP (W)", validators=_bounds(0.001, MAX_POWER_W))
    idle_w = _power(verbose_name="idle power (W)", help_text="Leave empty to use a documented share of the TDP.")
    full_load_w = _power(
        verbose_name="full-load power (W)", help_text="Leave empty to use a documented share of the TDP."
    )
    peak_tflops = _peak("peak, single precision (TFLOPS)", "On vector units, without tensor cores.")
    bf16_tflops = _peak(
        "peak, dense BF16 (TFLOPS)", "With FP32 accumulation; FP16 if the device has no BF16. Without sparsity."
    )
    fp8_tflops = _peak("peak, dense FP8 (TFLOPS)", "Without sparsity.")
    memory_gb_per_s = _peak("memory bandwidth (GB/s)")
    peaks_source = models.CharField("source of peak values", max_length=400, blank=True)
    unit = models.CharField(
        max_length=8, choices=Unit.choices, default=Unit.DEVICE, help_text="What the power values refer to."
    )
    fallback = models.BooleanField(default=False, help_text="Used for devices that are not in the catalogue.")
    year = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1970), MaxValueValidator(2100)]
    )
    source = models.CharField(max_length=400, blank=True)
    confidence = models.CharField(max_length=10, choices=Confidence.choices, default=Confidence.ESTIMATE)
    note = models.CharField(max_length=400, blank=True)
    edited = models.BooleanField(default=False, help_text="Edited by an admin; reloading the seed data skips it.")
    revision = models.PositiveIntegerField(default=1, editable=False, help_text="Increases when its power changes.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = HardwareProfileManager()
    history = HistoricalRecords(
        excluded_fields=["created_at", "updated_at"],
        history_change_reason_field=models.CharField(max_length=500, null=True),
    )

    class Meta:
        ordering = ["vendor", "name"]
        constraints = [
            models.CheckConstraint(condition=Q(tdp_w__gt=0, tdp_w__lte=MAX_POWER_W), name="tdp_is_plausible"),
            models.CheckConstraint(
                condition=Q(idle_w=None) | Q(idle_w__gte=0, idle_w__lte=MAX_POWER_W), name="idle_is_plausible"
            ),
            models.CheckConstraint(
                condition=Q(full_load_w=None) | Q(full_load_w__gte=0, full_load_w__lte=MAX_POWER_W),
                name="full_load_is_plausible",
            ),
            models.CheckConstraint(
                condition=Q(idle_w=None) | Q(full_load_w=None) | Q(idle_w__lte=F("full_load_w")),
                name="idle_is_at_most_full_load",
            ),
            _plausible("memory_gb", 0.0, MAX_MEMORY_GB),
            *(_plausible(peak, 0.0, MAX_PEAK) for peak in PEAKS),
        ]
        indexes = [models.Index(fields=["kind", "name"], name="profile_by_kind")]

    def __str__(self):
        return self.name

    @transaction.atomic
    def save(self, *args, **kwargs):
        """Save; changed power makes a new revision, which `runs` detects to recalculate past runs."""
        before = HardwareProfile.objects.filter(pk=self.pk).first() if self.pk else None
        if before and not self.history.exists():  # loading writes no history; it starts with the first change
            type(self).history.bulk_history_create([before], default_change_reason="Values as loaded.")
        if before and before.power() != self.power():
            self.revision = before.revision + 1
            if (fields := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*fields, "revision"}
        super().save(*args, **kwargs)
        self.aliases.exclude(kind=self.kind).update(kind=self.kind)
        CatalogueState.renew()

    @transaction.atomic
    def delete(self, *args, **kwargs):
        CatalogueState.renew()
        return super().delete(*args, **kwargs)

    def clean(self):
        powers_known = self.idle_w is not None and (self.tdp_w is not None or self.full_load_w is not None)
        if powers_known and self.idle_w > estimation.full_load_power_w(self):
            raise ValidationError({"idle_w": "Idle power can't be above full-load power."})
        if self.pk and (taken := self._taken_aliases().first()):
            raise ValidationError({"kind": f"Its alias {taken} already belongs to {taken.profile} of that kind."})

    def _taken_aliases(self):
        """Aliases of other profiles that would conflict with this profile's aliases under its new kind."""
        keys = self.aliases.exclude(kind=self.kind).values("key")
        return HardwareAlias.objects.filter(kind=self.kind, key__in=keys).select_related("profile")

    @property
    def source_url(self) -> str:
        """The source if it is a web address, else empty: nothing else may become a link."""
        return self.source if self.source.startswith(("https://", "http://")) and " " not in self.source else ""

    def power(self) -> tuple:
        """The values that estimates depend on."""
        return tuple(getattr(self, field) for field in POWER_FIELDS)


def alias_key(name: str) -> str:
    """The key that identifies an alias: ignores case and repeated whitespace."""
    return " ".join(name.lower().split())


class HardwareAlias(models.Model):
    """Another name of a profile, used by drivers or people; unique within a kind."""

    class Source(models.TextChoices):
        SEED = "seed", "seed data"
        ADMIN = "admin", "an admin"

    profile = models.ForeignKey(HardwareProfile, on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=8, choices=HardwareProfile.Kind.choices, editable=False)
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=600, editable=False)  # lower case can be longer than upper case
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.ADMIN, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="alias_means_one_profile")]
        verbose_name_plural = "hardware aliases"
        ordering = ["name"]

    def __str__(self):
        return self.name

    @transaction.atomic
    def save(self, *args, **kwargs):
        self.kind, self.key = self.profile.kind, alias_key(self.name)
        super().save(*args, **kwargs)
        CatalogueState.renew()

    @transaction.atomic
    def delete(self, *args, **kwargs):
        CatalogueState.renew()
        return super().delete(*args, **kwargs)

    def clean(self):
        key, kind = alias_key(self.name), self.profile.kind
        taken = HardwareAlias.objects.filter(kind=kind, key=key).exclude(pk=self.pk).select_related("profile").first()
        if taken:
            raise ValidationError({"name": f"This alias already belongs to {taken.profile}."})


class CloudInstance(models.Model):
    """A cloud machine type: a number of devices, or a fraction of one."""

    provider = models.CharField(max_length=20)
    name = models.CharField(max_length=60)
    profile = models.ForeignKey(HardwareProfile, on_delete=models.CASCADE, related_name="instances")
    count = models.FloatField(validators=_bounds(0.001, MAX_COUNT))
    source = models.CharField(max_length=400, blank=True)
    edited = models.BooleanField(default=False, help_text="Edited by an admin; reloading the seed data skips it.")

    class Meta:
        ordering = ["provider", "name"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="instance_once_per_provider"),
            _plausible("count", 0.0, MAX_COUNT),
        ]

    def __str__(self):
        return f"{self.name} ({self.provider})"


class Indexed:
    """A catalogue row for matching and estimation: power, names, primary key and revision."""

    __slots__ = (*POWER_FIELDS, "aliases", "form_factor", "pk", "revision", "slug")

    #: The slots that are columns of the row.
    FIELDS = tuple(field for field in __slots__ if field not in ("aliases", "pk"))

    def __init__(self, pk: int, values: list, aliases: list[str]):
        self.pk, self.aliases = pk, aliases
        for field, value in zip(self.FIELDS, values, strict=True):
            setattr(self, field, value)
