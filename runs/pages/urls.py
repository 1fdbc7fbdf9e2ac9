from django.urls import path

from runs.pages.hardware import hardware_detail, hardware_list
from runs.pages.methodology import methodology
from runs.pages.models import model_detail, model_list
from runs.pages.overview import overview
from runs.pages.plan import plan
from runs.pages.profile import delete_account, export_my_data, profile, save_theme, sessions
from runs.pages.runs import run_detail, run_list

urlpatterns = [
    path("", overview, name="overview"),
    path("runs/", run_list, name="run_list"),
    path("runs/<uuid:run_id>/", run_detail, name="run_detail"),
    path("models/", model_list, name="model_list"),
    path("models/<slug:project>/<slug:slug>/", model_detail, name="model_detail"),
    path("hardware/", hardware_list, name="hardware_list"),
    path("hardware/<slug:slug>/", hardware_detail, name="hardware_detail"),
    path("plan/", plan, name="plan"),
    path("methodology/", methodology, name="methodology"),
    path("settings/profile/", profile, name="profile"),
    path("settings/profile/export/", export_my_data, name="export_my_data"),
    path("settings/profile/delete/", delete_account, name="delete_account"),
    path("settings/sessions/", sessions, name="sessions"),
    path("settings/theme/", save_theme, name="save_theme"),
]
