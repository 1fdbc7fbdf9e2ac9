"""People, who log in by e-mail."""

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models

#: What stands behind the name of whoever can't act at present.
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
    """A person; theme and time zone say how pages look to them."""

    class Theme(models.TextChoices):
        SYSTEM = "system"
        LIGHT = "light"
        DARK = "dark"

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail", unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    #: Empty until the person chooses one: each browser then has its own.
    theme = models.CharField(max_length=8, blank=True, choices=Theme.choices)

    shows_equivalences = models.BooleanField("show equivalences, such as km by car", default=True)

    @property
    def called(self) -> str:
        """How others read of them: by name, else by address, and that the account is deactivated."""
        return (self.get_full_name() or self.email) + ("" if self.is_active else DEACTIVATED)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = []

    objects = UserManager()  # type: ignore[assignment, misc]
