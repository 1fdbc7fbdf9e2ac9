"""Readable parts of addresses, made from names in any script."""

from django.db.models import Model, QuerySet
from django.utils.text import slugify


def free_slug(name: str, taken: QuerySet[Model], fallback: str, max_length: int = 80) -> str:
    """A slug for `name` that no object of `taken` has; `fallback` stands in for names without latin letters."""
    stem = slugify(name)[: max_length - 8] or fallback
    used = set(taken.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in used:
        number += 1
        slug = f"{stem}-{number}"
    return slug
