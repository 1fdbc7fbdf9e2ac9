"""Runs of the token's project side by side."""

from collections import defaultdict

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from runs.api.reads import run_shapes as shapes
from runs.models import Device, Run
from runs.selection.compared import MOST_RUNS, devices_in_words, figure_rows, metric_rows, names_of, param_rows


class CompareQuerySerializer(serializers.Serializer):
    run = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_RUNS, help_text="Repeat it; the first is the base."
    )


class CompareView(APIView):
    @extend_schema(
        operation_id="compare", parameters=[CompareQuerySerializer], responses={200: shapes.ComparisonSerializer}
    )
    def get(self, request):
        """Figures, metrics and parameters of up to eight runs; parameters that differ come first."""
        checked = CompareQuerySerializer(data={"run": list(dict.fromkeys(request.query_params.getlist("run")))})
        checked.is_valid(raise_exception=True)
        run_ids = checked.validated_data["run"]
        found = Run.objects.filter(project=request.auth.project, run_id__in=run_ids)
        by_id = {run.run_id: run for run in found.select_related("tracked_model", "factor").defer("usage", "notes")}
        if missing := [str(run_id) for run_id in run_ids if run_id not in by_id]:
            raise exceptions.NotFound(f"This project has no run {missing[0]}.")
        runs = [by_id[run_id] for run_id in run_ids]
        devices: dict[int, list[Device]] = defaultdict(list)
        for device in Device.objects.filter(run__in=runs).select_related("profile", "writer").order_by("kind", "key"):
            devices[device.run_id].append(device)
        figures = figure_rows(runs, [devices[run.pk] for run in runs])
        told = {
            "runs": run_ids,
            "names": names_of(runs),
            "hardware": [devices_in_words(devices[run.pk]) for run in runs],
            "figures": [*figures, *(row for rows in metric_rows(runs, runs[0]) for row in rows)],
            "params": param_rows(runs),
        }
        return Response(shapes.ComparisonSerializer(told).data)
