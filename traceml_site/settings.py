"""All settings of the portal, read from the environment; docs/settings.md explains them."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import dj_database_url

from traceml_site import environment as env
from traceml_site import logs

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("TRACEML_DATA") or BASE_DIR / "data").resolve()
AGENT_DIR = BASE_DIR / "agent"  # whose wheel the portal hands out

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.secret_key(DATA_DIR / "secret-key", DEBUG)
TRACEML_BASE_URL = env.text("TRACEML_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
TRACEML_SIGNUP = env.choice("TRACEML_SIGNUP", ("closed", "invite", "open"))
# The token that Prometheus sends for /metrics; without it, nobody can read them.
TRACEML_METRICS_TOKEN = env.text("TRACEML_METRICS_TOKEN")
# Days to keep the audit log (0: forever) and the records that keep deleted runs deleted.
TRACEML_AUDIT_DAYS = env.whole_number("TRACEML_AUDIT_DAYS", 730)
TRACEML_TOMBSTONE_DAYS = env.whole_number("TRACEML_TOMBSTONE_DAYS", 365)

# Requests a minute, also at once, over all workers: per token, per person, or per link and address. 0: no limit.
TRACEML_LIMITS = env.rates(
    "TRACEML_LIMITS",
    {"uploads": 6000, "reads": 480, "pages": 2400, "searches": 600, "exports": 120, "shared": 300},
)

# `manual` if you run `manage.py reestimate` yourself; otherwise the worker or the portal runs it.
TRACEML_REESTIMATE = env.choice("TRACEML_REESTIMATE", ("auto", "manual"))

_base = urlsplit(TRACEML_BASE_URL)
if _base.scheme not in ("http", "https") or not _base.hostname:
    env.refuse(f"TRACEML_BASE_URL must look like https://traceml.example, not {TRACEML_BASE_URL!r}")
if _base.query or _base.fragment or _base.path != quote(_base.path) or "//" in _base.path:
    env.refuse(f"TRACEML_BASE_URL must end with a plain path or none, not {TRACEML_BASE_URL!r}")
# The path prefix without a trailing slash: empty, or such as /traceml.
PREFIX = _base.path
FORCE_SCRIPT_NAME = PREFIX or None
HTTPS = _base.scheme == "https"
# The portal does not serve TLS itself, so an https address means that there is a proxy.
BEHIND_PROXY = env.flag("TRACEML_BEHIND_PROXY", HTTPS)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", f"{_base.hostname},127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

INSTALLED_APPS = [
    "allauth",
    "allauth.account",
    "simple_history",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_tasks",
    "django_tasks_db",
    "runs",  # after the apps whose admin pages it removes
    "hardware",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "traceml_site.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "traceml_site.middleware.request_id",
    "traceml_site.metrics.measured",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # adds random padding, so that lengths reveal no secrets
    "csp.middleware.CSPMiddleware",
    "traceml_site.middleware.private_by_default",
    "traceml_site.middleware.bounded_forms",
    "traceml_site.middleware.probe",
    "traceml_site.middleware.uploads",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "traceml_site.middleware.time_zone",
    "traceml_site.middleware.says_what_to_do",
    "traceml_site.middleware.RefusingDatabase",
    "traceml_site.middleware.Limits",
]

ROOT_URLCONF = "traceml_site.urls"
WSGI_APPLICATION = "traceml_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "runs.web.scope.in_templates",
            ],
            # Tags of one screen are in its package; shared ones are in runs/templatetags/.
            "libraries": {
                screen: f"runs.{screen}.tags" for screen in ("accounts", "hardware_pages", "model_page", "teams")
            },
        },
    },
]

# Measured: with Django's defaults 117 of 480 concurrent uploads failed with "database is locked", with these four 0.
# IMMEDIATE makes every atomic() take the write lock, so there is no ATOMIC_REQUESTS and reads stay outside.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
}


def _database(name: str, url: str, pool_size: int = 0) -> dict:
    """Django's settings of a database; with `pool_size`, the threads of a process share so many connections."""
    config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    if config["ENGINE"].endswith("sqlite3"):
        return config | {"ENGINE": "traceml_site.databases.sqlite3", "OPTIONS": dict(SQLITE_OPTIONS)}
    if not config["ENGINE"].endswith("postgresql"):
        env.refuse(f"{name} must be a sqlite:/// or postgres:// URL")
    # The time limit of pages. Poolers drop it, and the role's own counts: see traceml_site/databases/postgresql.
    limit_ms = 0 if sys.argv[1:2] == ["restore"] else 5000
    # Compiling a page's query takes longer than the query, so there is no just-in-time compiler.
    limits = {"options": f"-c statement_timeout={limit_ms} -c jit=off"}
    options = {"connect_timeout": 5} | config.get("OPTIONS", {}) | limits
    if pool_size:
        # A short time to reconnect, because each further try waits twice as long, even if the server is back.
        options["pool"] = {"min_size": 0, "max_size": pool_size, "timeout": 5, "reconnect_timeout": 2}
        config |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}  # a pool checks and keeps connections itself
    return config | {"ENGINE": "traceml_site.databases.postgresql", "OPTIONS": options}


def _replica(url: str) -> dict:
    """Of a streaming replica, which is given up quickly if it does not answer. Its connections are checked anyway."""
    config = _database("DATABASE_REPLICA_URL", url)
    if any(each["ENGINE"].endswith("sqlite3") for each in (config, DATABASES["default"])):
        env.refuse("DATABASE_REPLICA_URL must be a postgres:// URL, like DATABASE_URL")
    options = config["OPTIONS"] | {"connect_timeout": 2, "tcp_user_timeout": 5000}
    return config | {"OPTIONS": options, "CONN_HEALTH_CHECKS": False, "TEST": {"MIRROR": "default"}}


if not env.text("DATABASE_URL"):
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
DATABASES = {
    "default": _database(
        "DATABASE_URL",
        env.text("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'traceml.sqlite3'}",
        env.whole_number("DATABASE_POOL_SIZE", 0),
    )
}
if env.text("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = _replica(env.text("DATABASE_REPLICA_URL"))
    DATABASE_ROUTERS = ["traceml_site.databases.replica.Router"]
    MIDDLEWARE.append("traceml_site.databases.replica.Middleware")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Where allauth stores attempts and used codes: shared by all workers, and entries are never evicted.
CACHES = {"default": {"BACKEND": "runs.remembering.TableCache"}}

AUTH_USER_MODEL = "runs.User"
AUTHENTICATION_BACKENDS = ["runs.accounts.adapters.OneAddressOneAccount"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "CommonPasswordValidator", "NumericPasswordValidator")
] + [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"

# Email is sent at once, or by `manage.py worker` if TRACEML_TASKS is "database". Long jobs have their own queue.
TASK_BACKENDS = {
    "immediate": "django_tasks.backends.immediate.ImmediateBackend",
    "database": "django_tasks_db.DatabaseBackend",
}
TASKS = {
    "default": {
        "BACKEND": TASK_BACKENDS[env.choice("TRACEML_TASKS", tuple(TASK_BACKENDS))],
        "QUEUES": ["default", "long"],
    }
}
MAIL_IS_SET_UP = bool(env.text("EMAIL_URL"))
vars().update(env.mail("EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("TRACEML_MAIL_FROM") or f"TraceML <traceml@{_base.hostname}>"

ACCOUNT_ADAPTER = "runs.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "runs.accounts.adapters.LoginForm", "signup": "runs.accounts.adapters.SignupForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if MAIL_IS_SET_UP else "none"
ACCOUNT_EMAIL_NOTIFICATIONS = MAIL_IS_SET_UP
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[TraceML] "
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _base.scheme
PASSWORD_RESET_TIMEOUT = 60 * 60
ACCOUNT_RATE_LIMITS = {
    # By account only: a success with a second factor clears it, and must not clear attempts by address
    # (runs.limits.PASSWORDS counts those).
    "login_failed": "5/5m/key",
    "change_password": "5/5m/user",
    "reset_password": "20/m/ip,5/m/key,20/d/key",
}
# Rate limits use the address that our own proxy added last, never one that a client sent.
ALLAUTH_TRUSTED_PROXY_COUNT = int(BEHIND_PROXY)
MFA_ADAPTER = "runs.accounts.adapters.SecondFactorAdapter"
MFA_FORMS = {
    "add_webauthn": "runs.accounts.passkeys.PasskeyAddForm",
    "edit_webauthn": "runs.accounts.passkeys.PasskeyRenameForm",
    "authenticate_webauthn": "runs.accounts.passkeys.PasskeyAuthenticateForm",
    "login_webauthn": "runs.accounts.passkeys.PasskeyLoginForm",
    "reauthenticate_webauthn": "runs.accounts.passkeys.PasskeyReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "TraceML"
MFA_ALLOW_UNVERIFIED_EMAIL = not MAIL_IS_SET_UP
SIGN_ON_ELSEWHERE = env.openid_providers()
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": SIGN_ON_ELSEWHERE}}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = f"{PREFIX}/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.text("TRACEML_STATIC_ROOT") or DATA_DIR / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

_SELF = ["'self'"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": _SELF,
        "style-src": _SELF,
        "img-src": ["'self'", "data:"],
        "font-src": _SELF,
        "connect-src": _SELF,
        "form-action": _SELF,
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"(^|/)healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{PREFIX}/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CSRF_FAILURE_VIEW = "traceml_site.errors.csrf_failed"
# A form with files that is larger than the latter is refused by its length, so nothing is written to the temporary
# folder; without files it may have the former.
# The API's parser has bounds of its own.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * DATA_UPLOAD_MAX_MEMORY_SIZE

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["runs.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["runs.api.authentication.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["runs.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "runs.api.problems.DocumentedSchema",
    "EXCEPTION_HANDLER": "runs.api.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "STRICT_JSON": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "TraceML",
    "DESCRIPTION": "Runs, energy and emissions of AI models. Uploads and CodeCarbon’s door: docs/wire.md.",
    "VERSION": "1",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "RunKind": "runs.models.run.Run.Kind",
        "DeviceKind": "runs.models.device.Device.Kind",
        "RunStatus": "runs.models.run.Run.Status",
    },
}

LOGGING = logs.config(
    env.choice("LOG_LEVEL", ("warning", "debug", "info", "error", "critical")).upper(),
    env.choice("TRACEML_LOG", ("text", "json")),
    env.flag("TRACEML_LOG_REQUESTS"),
)
