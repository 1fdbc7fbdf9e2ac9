"""Text from people and clients: what may be stored, the same on both databases.

A lone surrogate or NUL stored once makes every later list fail (SQLite) or the write (PostgreSQL); bidi overrides
make one name look like another.
"""

import unicodedata

from django.core.exceptions import ValidationError

MAX_LENGTH = 200
BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(value: str, max_length: int = MAX_LENGTH, multiline: bool = False) -> str:
    """The text in NFC without surrounding white space. Raises ValidationError for what may not be stored."""
    if any(map(_is_refused, value.replace("\n", "").replace("\t", "") if multiline else value)):
        raise ValidationError("must not contain control characters, lone surrogates or direction overrides")
    text = unicodedata.normalize("NFC", value).strip()
    if len(text) > max_length:
        raise ValidationError(f"must have at most {max_length} characters")
    return text


def _is_refused(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in BIDI_OVERRIDES
