"""Uploads: three PUT requests that can be repeated any number of times with the same effect."""

from functools import cache
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from runs.api import serializers
from runs.api.agents import notice, refuse_too_old
from runs.api.parsers import require_length
from runs.api.problems import Conflict, RunUnknown
from runs.ingest.batch import BatchConflict, record_batch
from runs.ingest.bodies import BatchBody, FinishBody, HeaderBody
from runs.ingest.finish import record_finish
from runs.ingest.header import record_header
from runs.jobs import folder
from runs.models import ApiToken, Project, Run


@cache
def _checker(serializer_class: type[Serializer]) -> Serializer:
    """One for all requests: it keeps no data, and to make its fields anew took longer than to check a batch."""
    return serializer_class()


class WriteView(APIView):
    """An upload with a token of the scope `ingest`, whose body states its length."""

    scopes = {"PUT": ApiToken.Scope.INGEST}

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        refuse_too_old(request)
        require_length(request)

    def finalize_response(self, request, response, *args, **kwargs):
        """Also release the body: view and response refer to each other, so it would wait for the garbage collector."""
        request._full_data = request._data = None
        return super().finalize_response(request, response, *args, **kwargs)

    def checked(self, serializer_class) -> Any:
        return _checker(serializer_class).run_validation(self.request.data)

    @property
    def project(self) -> Project:
        """The token's project; nothing of it but its key is read."""
        return Project(pk=self.request.auth.project_id)

    def answer(self, run: Run, outcome: str, status: int, batch_id: str | None = None) -> Response:
        """The acknowledgement that the agent checks before it deletes a record; its totals may lack this upload."""
        folder.wake(run.pk)
        answer = {
            "run_id": str(run.run_id),
            "batch_id": batch_id,
            "sha256": self.request.body_sha256,
            "status": outcome,
            "energy_kwh": run.energy_kwh,
            "emissions_kg": run.emissions_kg,
            "url": f"{settings.TRACEML_BASE_URL}/runs/{run.run_id}/",
        }
        if told := notice(self.request):
            answer["notice"] = told
        return Response(answer, status=status)


class RunHeaderView(WriteView):
    @extend_schema(
        operation_id="put_run",
        request=serializers.HeaderSerializer,
        responses={200: serializers.WriteAnswerSerializer, 201: serializers.WriteAnswerSerializer},
    )
    def put(self, request, run_id):
        """Announce a run, or another writer of it."""
        data: HeaderBody = self.checked(serializers.HeaderSerializer)
        member_id, digest = request.auth.member_id, request.body_sha256
        run, created = record_header(self.project, run_id, data, member_id, digest)
        return self.answer(run, "created" if created else "updated", 201 if created else 200)


class BatchView(WriteView):
    accepts_gzip = True

    @extend_schema(
        operation_id="put_batch",
        request=serializers.BatchBodySerializer,
        responses={200: serializers.WriteAnswerSerializer, 201: serializers.WriteAnswerSerializer},
    )
    def put(self, request, run_id, batch_id):
        """Store a batch of samples, stages, metrics and calls, once."""
        data: BatchBody = self.checked(serializers.BatchBodySerializer)
        try:
            run, stored = record_batch(self.project, run_id, batch_id, request.body_sha256, data)
        except Run.DoesNotExist:
            raise RunUnknown from None
        except BatchConflict:
            raise Conflict from None
        return self.answer(run, "stored" if stored else "duplicate", 201 if stored else 200, batch_id)


class FinishView(WriteView):
    @extend_schema(
        operation_id="finish_run",
        request=serializers.FinishSerializer,
        responses={200: serializers.WriteAnswerSerializer},
    )
    def put(self, request, run_id):
        """End a writer with its final counters; the run ends with its last writer."""
        try:
            data: FinishBody = self.checked(serializers.FinishSerializer)
            run = record_finish(self.project, run_id, data, request.body_sha256)
        except Run.DoesNotExist:
            raise RunUnknown from None
        return self.answer(run, "finished", 200)
