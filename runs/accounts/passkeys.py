"""Forms for passkeys and security keys: allauth's, with stricter checks of what the browser sends."""

import json
import struct

from allauth.mfa.webauthn import forms as allauth_forms
from django import forms
from django.core.exceptions import ValidationError
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

NAME_LENGTH = 100
#: Ten times the size of an answer with certificates.
LONGEST_ANSWER = 64 * 1024


class KeyAnswer(forms.CharField):
    """A key's answer from the browser, as JSON. The library raises all kinds of errors for a forged one."""

    widget = forms.HiddenInput

    def __init__(self, response, **options):
        self.response = response
        super().__init__(max_length=LONGEST_ANSWER, **options)

    def clean(self, value):
        try:
            answer = json.loads(super().clean(value))
            if self.response.from_dict(answer) is None:  # of null
                raise ValueError
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError, struct.error):
            raise ValidationError("The security key’s answer was not valid.") from None
        return answer


class PasskeyAddForm(allauth_forms.AddWebAuthnForm):
    name = forms.CharField(required=False, max_length=NAME_LENGTH)
    credential = KeyAnswer(RegistrationResponse)
    passwordless = forms.BooleanField(
        required=False,
        label="As a passkey",
        help_text="Signs you in without your password. Your device asks for your fingerprint, face or PIN.",
    )


class PasskeyRenameForm(allauth_forms.EditWebAuthnForm):
    name = forms.CharField(max_length=NAME_LENGTH)


class PasskeyAuthenticateForm(allauth_forms.AuthenticateWebAuthnForm):
    credential = KeyAnswer(AuthenticationResponse)


class PasskeyLoginForm(allauth_forms.LoginWebAuthnForm):
    credential = KeyAnswer(AuthenticationResponse)


class PasskeyReauthenticateForm(allauth_forms.ReauthenticateWebAuthnForm):
    credential = KeyAnswer(AuthenticationResponse)
