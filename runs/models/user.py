"""People, who log in by email."""

import zoneinfo

from django.contrib.auth.models import AbstractUser, BaseUserManager, Permission
from django.db import models
from django.db.models import Q

#: Suffix to the names of deactivated people.
DEACTIVATED = " (deactivated)"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """A person, with theme and time zone."""

    class Theme(models.TextChoices):
        SYSTEM = "system"
        LIGHT = "light"
        DARK = "dark"

    username = None  # type: ignore[assignment]
    email = models.EmailField("email", unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    #: Empty until the person chooses one; until then each browser has its own.
    theme = models.CharField(max_length=8, blank=True, choices=Theme.choices)

    shows_equivalences = models.BooleanField("show equivalences, such as km by car", default=True)

    @property
    def called(self) -> str:
        """The name that others see, or else the email address, marked if the account is deactivated."""
        return (self.get_full_name() or self.email) + ("" if self.is_active else DEACTIVATED)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[assignment, misc]

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The person's time zone; UTC if its name is invalid or no longer exists."""
        try:
            return zoneinfo.ZoneInfo(self.time_zone or "UTC")
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # the latter two if the name is not a file name
            return zoneinfo.ZoneInfo("UTC")

    def may_look_after(self, other: "User") -> bool:
        """Whether this staff member may change the other's account, which must have no more rights than theirs."""
        if self.is_superuser or other.is_superuser:
            return self.is_superuser
        rights = Permission.objects.filter(Q(user=other) | Q(group__user=other))  # even of a deactivated account
        labels = rights.values_list("content_type__app_label", "codename")
        return all(self.has_perm(f"{app}.{codename}") for app, codename in labels)
