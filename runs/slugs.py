"""Slugs: readable parts of addresses, made from names in any script."""

import contextlib

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils.crypto import get_random_string
from django.utils.text import slugify

#: Attempts to find a free random slug.
TRIES = 2
LONGEST_STEM = 60
#: No vowels, so that it spells no words, and no characters that look alike.
RANDOM = "bcdfghjkmnpqrstvwxz23456789"
#: Selects all teams in an address, so no team may have it as its slug.
RESERVED = {"all"}


def free_slug(name: str, taken: QuerySet[Model], fallback: str, max_length: int = 80) -> str:
    """A slug for `name` that no object in `taken` has; `fallback` replaces names without Latin letters."""
    stem = slugify(name)[: max_length - 8] or fallback
    used = RESERVED | set(taken.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in used:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def create_with_slug(objects, name: str, fallback: str, **fields):
    """Create an object with a slug made from its name. Raises IntegrityError if another unique value is taken.

    The slug always ends with random characters: `digits-2`, or an ending only where `digits` is taken, would reveal
    that another team uses the name.
    """
    stem = slugify(name)[:LONGEST_STEM] or fallback
    for _ in range(TRIES - 1):
        with contextlib.suppress(IntegrityError), transaction.atomic():
            return objects.create(name=name, slug=_ended(stem), **fields)
    return objects.create(name=name, slug=_ended(stem), **fields)


def _ended(stem: str) -> str:
    return f"{stem}-{get_random_string(6, RANDOM)}"
