"""Readable parts of addresses, made from names in any script."""

import contextlib

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils.crypto import get_random_string
from django.utils.text import slugify

#: How often a slug is made, so that one that is taken by chance is not the end.
TRIES = 2
LONGEST_STEM = 60
#: Without vowels, so that it spells nothing, and without what is read as something else.
RANDOM = "bcdfghjkmnpqrstvwxz23456789"
#: What asks for all teams in an address is no team's slug.
RESERVED = {"all"}


def free_slug(name: str, taken: QuerySet[Model], fallback: str, max_length: int = 80) -> str:
    """A slug for `name` that no object of `taken` has; `fallback` stands in for names without latin letters."""
    stem = slugify(name)[: max_length - 8] or fallback
    used = RESERVED | set(taken.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in used:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def create_with_slug(objects, name: str, fallback: str, **fields):
    """A new object whose slug begins like its name. Raises IntegrityError where something else than the slug is taken.

    It always ends at random: `digits-2`, or an ending only where `digits` is taken, would tell that another team has
    it.
    """
    stem = slugify(name)[:LONGEST_STEM] or fallback
    for _ in range(TRIES - 1):
        with contextlib.suppress(IntegrityError), transaction.atomic():
            return objects.create(name=name, slug=_ended(stem), **fields)
    return objects.create(name=name, slug=_ended(stem), **fields)


def _ended(stem: str) -> str:
    return f"{stem}-{get_random_string(6, RANDOM)}"
