"""Imports of other tools' files: announce a file, send it in parts, check it, read the preview, confirm, undo."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.views import APIView

from runs.api.fields import Text
from runs.api.parsers import BodyTooLarge, require_length
from runs.importers import rule, work
from runs.importers.formats import recognise
from runs.models import ApiToken, Import, Run
from traceml_agent.limits import MAX_BODY_BYTES

SCOPES = dict.fromkeys(("GET", "POST", "PUT", "DELETE"), ApiToken.Scope.INGEST)


class NotInThisState(exceptions.APIException):
    status_code = 409
    default_code = "import-state"


class RuleSerializer(serializers.Serializer):
    """What the user chooses; docs/integrations/importing.md explains each. Lists have one entry a line."""

    timezone = Text(required=False)
    kind = serializers.ChoiceField(Run.Kind.choices, required=False)
    models = serializers.CharField(required=False, max_length=50_000, trim_whitespace=False)
    gpus = serializers.CharField(required=False, max_length=50_000, trim_whitespace=False)
    cpus = serializers.CharField(required=False, max_length=50_000, trim_whitespace=False)
    members = serializers.CharField(required=False, max_length=50_000, trim_whitespace=False)
    energy = serializers.ChoiceField(rule.Rule.ENERGIES, required=False)


class NewImportSerializer(serializers.Serializer):
    file_name = Text()
    format = serializers.ChoiceField(sorted(recognise.READERS), required=False)
    rule = RuleSerializer(required=False)


class ImportSerializer(serializers.ModelSerializer):
    """An import and, once it is checked, its preview."""

    id = serializers.IntegerField(source="pk", read_only=True)
    url = serializers.SerializerMethodField()
    rows_refused = serializers.JSONField(source="refused", help_text="The first of them: line and reason.")
    refused = serializers.IntegerField(source="rows_refused", help_text="Number of rows that can't be taken.")

    class Meta:
        model = Import
        fields = ["id", "state", "progress", "problem", "format", "file_name", "preview", "refused", "rows_refused"]
        fields += ["runs_added", "runs_updated", "runs_known", "created_at", "undone_at", "url"]

    def get_url(self, asked) -> str:
        return f"{settings.TRACEML_BASE_URL}/imports/{asked.pk}/"


class PartParser(BaseParser):
    """A part of a file, as it is."""

    media_type = "application/octet-stream"

    def parse(self, stream, media_type=None, parser_context=None):
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        return body


class ImportingView(APIView):
    """Imports of the token's project, with the scope `ingest`."""

    scopes = SCOPES

    def found(self, pk) -> Import:
        return get_object_or_404(Import.objects.filter(project=self.request.auth.project), pk=pk)

    def answer(self, asked: Import, status: int = 200) -> Response:
        asked.refresh_from_db()
        return Response(ImportSerializer(asked).data, status=status)

    def handle_exception(self, exc):
        if isinstance(exc, work.NotNow):
            exc = NotInThisState(str(exc))
        if isinstance(exc, rule.RuleInvalid):
            exc = exceptions.ValidationError({f"rule.{exc.field}": str(exc)})
        return super().handle_exception(exc)


class ImportsView(ImportingView):
    @extend_schema(operation_id="new_import", request=NewImportSerializer, responses={201: ImportSerializer})
    def post(self, request):
        """Announce a file; its parts follow."""
        require_length(request)
        data = NewImportSerializer().run_validation(request.data)
        chosen, token = rule.parse(data.get("rule", {})), request.auth
        asked = work.begin(
            token.project, token.created_by, token.member_id, data["file_name"], chosen, data.get("format", "")
        )
        return self.answer(asked, 201)


class ImportView(ImportingView):
    @extend_schema(operation_id="import", responses={200: ImportSerializer})
    def get(self, request, pk):
        """The import's state, progress and preview."""
        work.start_if_abandoned()
        return self.answer(self.found(pk))

    @extend_schema(operation_id="discard_import", responses={204: None})
    def delete(self, request, pk):
        """Forget an import that was never confirmed."""
        work.discard(self.found(pk))
        return Response(status=204)


class ImportPartView(ImportingView):
    parser_classes = [PartParser]

    @extend_schema(operation_id="put_import_part", request=bytes, responses={200: ImportSerializer})
    def put(self, request, pk, number):
        """Send a part of the file, at most 1 MiB; the same part again replaces it."""
        require_length(request)
        asked = self.found(pk)
        work.receive(asked, number, request.data)
        return self.answer(asked)


class ImportActionView(ImportingView):
    """`check`, `confirm` and `undo`."""

    ACTIONS = {"check": work.check, "confirm": work.confirm, "undo": work.undo}
    action = ""

    @extend_schema(request=None, responses={202: ImportSerializer})
    def post(self, request, pk):
        """Begin the work; large files are worked on in the background."""
        asked = self.found(pk)
        self.ACTIONS[self.action](asked)
        return self.answer(asked, 202)
