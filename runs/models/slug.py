"""Readable parts of addresses, made from names in any script."""

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.utils.text import slugify

#: How often a parallel request may take the slug that was free a moment ago.
TRIES = 5


def free_slug(name: str, taken: QuerySet[Model], fallback: str, max_length: int = 80) -> str:
    """A slug for `name` that no object of `taken` has; `fallback` stands in for names without latin letters."""
    stem = slugify(name)[: max_length - 8] or fallback
    used = set(taken.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in used:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def create_with_slug(objects, name: str, fallback: str, **fields):
    """A new object with a free slug. Raises IntegrityError where something else than the slug is taken."""
    for _ in range(TRIES - 1):
        try:
            with transaction.atomic():
                return objects.create(name=name, slug=free_slug(name, objects.all(), fallback), **fields)
        except IntegrityError:
            continue
    return objects.create(name=name, slug=free_slug(name, objects.all(), fallback), **fields)
