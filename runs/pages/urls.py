from django.urls import path

from runs.pages.audit import audit, audit_csv
from runs.pages.deletion import delete_run
from runs.pages.hardware import hardware_detail, hardware_list
from runs.pages.methodology import methodology
from runs.pages.models import model_detail, model_list
from runs.pages.overview import overview
from runs.pages.runs import run_detail, run_list
from runs.pages.shared import badge, shared
from runs.pages.shares import make_badge, revoke_badge, revoke_share, shares

urlpatterns = [
    path("", overview, name="overview"),
    path("runs/", run_list, name="run_list"),
    path("runs/<uuid:run_id>/", run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/delete/", delete_run, name="delete_run"),
    path("models/", model_list, name="model_list"),
    path("models/<slug:project>/<slug:slug>/", model_detail, name="model_detail"),
    path("hardware/", hardware_list, name="hardware_list"),
    path("hardware/<slug:slug>/", hardware_detail, name="hardware_detail"),
    path("settings/shares/", shares, name="shares"),
    path("settings/shares/<int:pk>/revoke/", revoke_share, name="revoke_share"),
    path("settings/badges/", make_badge, name="make_badge"),
    path("settings/badges/<int:pk>/revoke/", revoke_badge, name="revoke_badge"),
    path("settings/audit/", audit, name="audit"),
    path("settings/audit.csv", audit_csv, name="audit_csv"),
    path("s/<slug:secret>/", shared, name="shared"),
    path("badge/<slug:key>.svg", badge, name="badge"),
    path("methodology/", methodology, name="methodology"),
]
