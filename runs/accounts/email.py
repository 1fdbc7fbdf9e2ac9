"""Views in front of two allauth pages: email addresses, and the redirect to single sign-on."""

from allauth.account.views import email as allauth_email_addresses
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.openid_connect.views import login as allauth_sign_on
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import redirect, render


def email_addresses(request):
    """allauth's page. Without mail nobody can prove that an address is theirs, so the page is read-only.

    Accepting a new address would reveal whether someone else has it, and an unproven address would sign in.
    """
    if settings.MAIL_IS_SET_UP:
        return allauth_email_addresses(request)
    if request.method == "POST":
        messages.error(
            request,
            "Ask the portal administrator to change your address. This portal sends no email to confirm a new one.",
        )
        return redirect("account_email")
    return render(request, "account/email.html")


@login_not_required
def sign_on_elsewhere(request, provider_id: str):
    """Go to the provider through a page, not a redirect: `form-action 'self'` also blocks a form's redirects."""
    answer = allauth_sign_on(request, provider_id)
    if answer.status_code != 302 or answer["Location"].startswith("/"):
        return answer
    provider = get_adapter().get_provider(request, provider_id)
    return render(
        request, "socialaccount/login_redirect.html", {"provider": provider.name, "redirect_to": answer["Location"]}
    )
