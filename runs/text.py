"""Text from people and clients: what may be stored, the same on both databases.

A lone surrogate or NUL stored once makes every later list fail (SQLite) or the write (PostgreSQL); bidi overrides
make one name look like another. The bounds are the agent's too: traceml_agent.limits.
"""

import unicodedata

from django.core.exceptions import ValidationError

from traceml_agent import limits

#: An e-mail address by RFC 5321, and the column for it.
LONGEST_EMAIL = 254


def clean_text(value: str, max_length: int = limits.MAX_TEXT, multiline: bool = False) -> str:
    """The text in NFC without surrounding white space. Raises ValidationError for what may not be stored."""
    if not limits.is_clean(value.replace("\n", "").replace("\t", "") if multiline else value):
        raise ValidationError("must not contain control characters, lone surrogates or direction overrides")
    text = unicodedata.normalize("NFC", value).strip()
    if len(text) > max_length:
        raise ValidationError(f"must have at most {max_length} characters")
    return text
