"""A token and what was uploaded with one."""

import hmac

from django.conf import settings
from django.db import models


def digest_of(secret: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), secret.encode(), "sha256").hexdigest()


class Token(models.Model):  # noqa: DJ008
    lookup_id = models.CharField(max_length=12, unique=True)
    secret_hmac = models.CharField(max_length=64)


class Upload(models.Model):  # noqa: DJ008
    token = models.ForeignKey(Token, on_delete=models.CASCADE)
    run_id = models.UUIDField()
    batch_id = models.CharField(max_length=64)
    body = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run_id", "batch_id"], name="upload_once")]
