"""The one view, at the addresses of the portal's uploads: a token checked by one indexed look-up, one row inserted."""

import hashlib
import hmac

from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.benchmarks.bare.models import Token, Upload, digest_of


class TokenCheck(BaseAuthentication):
    def authenticate(self, request):
        lookup_id, _, secret = request.META["HTTP_AUTHORIZATION"].removeprefix("Bearer tml_").partition("_")
        token = Token.objects.filter(lookup_id=lookup_id).first()
        if token is None or not hmac.compare_digest(token.secret_hmac, digest_of(secret)):
            raise AuthenticationFailed
        return None, token


class UploadView(APIView):
    authentication_classes = [TokenCheck]

    def put(self, request, run_id, batch_id=""):
        body = request._request.body
        assert request.data["writer"]  # the body is parsed, as an upload's has to be
        Upload.objects.create(token=request.auth, run_id=run_id, batch_id=batch_id, body=body)
        sha256 = hashlib.sha256(body).hexdigest()
        return Response({"run_id": run_id, "batch_id": batch_id, "sha256": sha256, "status": "stored"}, status=201)


urlpatterns = [
    path("api/v1/runs/<uuid:run_id>", UploadView.as_view()),
    path("api/v1/runs/<uuid:run_id>/batches/<batch_id>", UploadView.as_view()),
]
