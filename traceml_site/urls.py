"""All addresses of the portal. LoginRequiredMiddleware requires signing in, except for views that opt out."""

from allauth.account.decorators import secure_admin_login
from allauth.socialaccount.providers.openid_connect import views as openid_views
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from runs.accounts import email as accounts
from runs.api.documentation import api_docs
from traceml_site.metrics import metrics
from traceml_site.middleware import healthz

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # allauth's own way


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("accounts/email/", accounts.email_addresses, name="account_email"),
    path("accounts/oidc/<slug:provider_id>/login/", accounts.sign_on_elsewhere, name="openid_connect_login"),
    path("accounts/oidc/<slug:provider_id>/login/callback/", openid_views.callback, name="openid_connect_callback"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    # The admin's own page has no rate limit.
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="account_change_password"),
        name="admin_password_change",
    ),
    path("admin/", admin.site.urls),
    path("api/", api_docs, name="api_docs"),
    path("api/v1/", include("runs.api.urls")),
    path("api/", include("runs.api.codecarbon.views")),
    path("", include("runs.urls")),
]

handler400 = "traceml_site.errors.bad_request"
handler403 = "traceml_site.errors.forbidden"
handler404 = "traceml_site.errors.not_found"
handler429 = "traceml_site.errors.too_many_requests"  # allauth asks for it
handler500 = "traceml_site.errors.server_error"
