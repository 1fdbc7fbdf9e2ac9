"""Form fields that several pages use."""

from django import forms
from django.core.exceptions import ValidationError

from runs.text import clean_text
from runs.web import markdown


class Name(forms.CharField):
    """A name: 1 to 200 characters that are safe to store and show."""

    def __init__(self, **options):
        super().__init__(**{"max_length": 200} | options)

    def to_python(self, value):
        try:
            return clean_text(super().to_python(value) or "")
        except ValidationError as error:
            raise ValidationError(f"The text {error.message}.") from None


class Notes(forms.CharField):
    """Optional Markdown text with several lines."""

    widget = forms.Textarea

    def __init__(self, **options):
        super().__init__(required=False, **options)
        self.widget.attrs |= {"rows": 14, "maxlength": markdown.LONGEST}

    def to_python(self, value):
        # Browsers send CR LF for each line break of a text area, and count it as one character.
        text = (super().to_python(value) or "").replace("\r\n", "\n")
        try:
            return clean_text(text, markdown.LONGEST, multiline=True)
        except ValidationError as error:
            raise ValidationError(f"The text {error.message}.") from None


class TypedName(forms.CharField):
    """A field that asks for the name of an object before it is deleted, to prevent mistakes."""

    def __init__(self, name: str, **options):
        self.expected = name
        super().__init__(label=f"Type {name} to confirm", **options)
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}

    def validate(self, value):
        super().validate(value)
        if value != self.expected:
            raise ValidationError("The name does not match.")
