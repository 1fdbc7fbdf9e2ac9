"""A finding of `traceml-agent doctor`."""

from __future__ import annotations


class Finding:
    """One line of the examination: what was looked at, whether it is well, and what to do about it."""

    def __init__(self, subject: str, is_well: bool, text: str, remedy: str = ""):
        self.subject, self.is_well, self.text, self.remedy = subject, is_well, text, "" if is_well else remedy

    def as_dict(self) -> dict:
        return {"subject": self.subject, "ok": self.is_well, "text": self.text, "remedy": self.remedy}
