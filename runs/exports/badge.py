"""A badge: total emissions as a small SVG image, with its geometry in px."""

import unicodedata
from typing import NamedTuple

from django.db.models import Sum

from runs.figures import units
from runs.models import Badge, MonthlyUsage

#: Mean width in px of a letter in Verdana at 11 px; `textLength` gives other typefaces the same width.
LETTER_PX = 6.6
WIDE_LETTER_PX = 11.0
MARGIN_PX = 7


class BadgeText(NamedTuple):
    """One half of a badge: its words, their position and their width, in px."""

    words: str
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length + MARGIN_PX


class BadgePicture(NamedTuple):
    label: BadgeText
    figure: BadgeText


def picture(badge: Badge) -> BadgePicture:
    """Return the badge's image with current figures."""
    usage = MonthlyUsage.objects.filter(project=badge.project_id)
    if badge.tracked_model_id:
        usage = usage.filter(tracked_model=badge.tracked_model_id)
    emissions_kg = usage.aggregate(total=Sum("emissions_kg", default=0.0))["total"]
    label = _text(badge.label, MARGIN_PX)
    return BadgePicture(label, _text(f"{units.text('emissions', emissions_kg)} CO₂e", label.end + MARGIN_PX))


def _text(words: str, start: int) -> BadgeText:
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in words)
    return BadgeText(words, start, round(WIDE_LETTER_PX * wide + LETTER_PX * (len(words) - wide)))
