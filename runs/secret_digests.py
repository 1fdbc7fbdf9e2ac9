"""Secrets are stored as a keyed digest, so that a stolen database alone gives no access.

All are of full entropy, so that no slow hash is needed; each kind is told apart, so that none ever stands for another.
"""

import hashlib
import hmac

from django.conf import settings
from django.utils.crypto import salted_hmac

TOKEN_CONTEXT = b"traceml.api-token"


def token_digest(secret: str) -> str:
    """Hex HMAC-SHA256 of the secret part of an API token."""
    return hmac.new(settings.SECRET_KEY.encode() + TOKEN_CONTEXT, secret.encode(), hashlib.sha256).hexdigest()


def invitation_digest(secret: str) -> str:
    """Hex HMAC-SHA256 of the secret in an invitation's link."""
    return token_digest(f"invitation:{secret}")


def share_link_digest(secret: str) -> str:
    """Hex HMAC-SHA256 of the secret in a share link's address."""
    return salted_hmac("traceml.share-link", secret, algorithm="sha256").hexdigest()
