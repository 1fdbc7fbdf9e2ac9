"""Authentication of the API: a project's token, in the header only, with the scope that the view requires."""

import hashlib
from http import HTTPStatus

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions

from runs import limits
from runs.models import ApiToken

REMEDY = "Send a valid token as 'Authorization: Bearer tml_…'; create one in the team's settings."


class TooMany(exceptions.APIException):
    """429: the agent waits as long as told, then sends the same request again."""

    status_code = HTTPStatus.TOO_MANY_REQUESTS
    default_code = "too-many-requests"

    def __init__(self, exceeded: limits.Exceeded):
        super().__init__(str(exceeded))
        self.wait = exceeded.wait_s


class TokenAuthentication(authentication.BaseAuthentication):
    """Sets `request.auth` to the ApiToken; there is no user."""

    def plain_text(self, request) -> str | None:
        """The token's plain text from the request's header; None without one."""
        scheme, space, plain_text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        return plain_text.strip() if space and scheme.lower() == "bearer" else None

    def authenticate(self, request):
        plain_text = self.plain_text(request)
        if plain_text is None:
            return None
        token = ApiToken.objects.authenticate(plain_text)
        try:
            _count(request, token, plain_text)
        except limits.Exceeded as error:
            raise TooMany(error) from None
        if token is None:
            raise exceptions.AuthenticationFailed(f"The token is unknown, expired or revoked. {REMEDY}")
        token.note_use(request.META.get("HTTP_USER_AGENT", ""))
        return None, token

    def authenticate_header(self, request):
        return 'Bearer realm="traceml"'


def _count(request, token: ApiToken | None, plain_text: str) -> None:
    """Raise Exceeded for a token (even an ended one) with too many requests, or an address with too many wrong tokens.

    A token that was valid here before is not a guess: agents of a deleted project are told what happened.
    """
    digest = hashlib.sha256(plain_text.encode("utf-8", "surrogatepass")).hexdigest()
    if token:
        _remember_right(digest)
    token = token or ApiToken.objects.issued(plain_text)
    who = token.pk if token else digest
    if token is None and digest not in _right:
        limits.BAD_TOKENS.spend(limits.address_of(request))
    elif request.method in permissions.SAFE_METHODS:
        limits.READS.spend(who)
    else:
        limits.UPLOADS.spend(who)


#: The most digests of valid tokens that a process remembers; beyond that, it starts again.
_right: set[str] = set()
MOST_RIGHT = 10_000


def _remember_right(digest: str) -> None:
    if len(_right) >= MOST_RIGHT:
        _right.clear()
    _right.add(digest)


class TokenScheme(OpenApiAuthenticationExtension):
    """The description of tokens in the OpenAPI document."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema):
        return {"type": "http", "scheme": "bearer", "bearerFormat": "tml_…"}


class HasScope(permissions.BasePermission):
    """Lets a token through that has the scope which the view's `scopes` ask for this method, else `read`; None: any."""

    def has_permission(self, request, view):
        if request.auth is None:
            raise exceptions.NotAuthenticated(f"A token is required. {REMEDY}")
        scope = getattr(view, "scopes", {}).get(request.method, ApiToken.Scope.READ)
        if scope is not None and not request.auth.allows(scope):
            raise exceptions.PermissionDenied(f"This token lacks the scope '{scope.value}'.")
        return True
