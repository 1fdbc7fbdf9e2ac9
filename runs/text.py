"""Text from people and clients: what may be stored, the same on both databases.

A stored lone surrogate or NUL breaks every later list (SQLite) or the write itself (PostgreSQL). Bidi overrides make
one name look like another. The agent has the same bounds: traceml_agent.limits.
"""

import unicodedata

from django.core.exceptions import ValidationError

from traceml_agent import limits

#: The longest email address by RFC 5321, and the length of its column.
LONGEST_EMAIL = 254


def clean_text(value: str, max_length: int = limits.MAX_TEXT, multiline: bool = False) -> str:
    """The text in NFC without surrounding whitespace. Raises ValidationError for text that may not be stored."""
    if not limits.is_clean(value.replace("\n", "").replace("\t", "") if multiline else value):
        raise ValidationError("must not contain control characters, lone surrogates or direction overrides")
    text = unicodedata.normalize("NFC", value).strip()
    if len(text) > max_length:
        raise ValidationError(f"must have at most {max_length} characters")
    return text
