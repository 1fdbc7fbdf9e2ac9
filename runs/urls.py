"""The portal's addresses, screen by screen. Above the screens: the one place that knows all of them."""

from django.urls import include, path

from runs.accounts import profile
from runs.agent_index import view as agent_index
from runs.compare import view as compare
from runs.hardware_pages import view as hardware
from runs.imports import view as imports
from runs.methodology import view as methodology
from runs.model_page import cite
from runs.model_page import view as models
from runs.model_page.shared import shared_model
from runs.overview import view as overview
from runs.plan import view as plan
from runs.report import view as report
from runs.run_list import bulk, export, live, saved_views
from runs.run_list import view as run_list
from runs.run_page import export as run_export
from runs.run_page import view as run_page
from runs.sharing import links
from runs.sharing import view as sharing
from runs.sharing.project import shared_project
from runs.start import view as start
from runs.teams import audit, invitations, members, metric_direction, projects, team, tokens, trash

#: Which screen shows what a share link is of.
SHARED = {"run": run_page.shared_run, "model": shared_model, "project": shared_project}

of_a_team = [
    path("", team.team, name="team"),
    path("rename/", team.team_rename, name="team_rename"),
    path("leave/", team.team_leave, name="team_leave"),
    path("delete/", team.team_delete, name="team_delete"),
    path("ownership/", team.ownership_offer, name="ownership_offer"),
    path("ownership/take/", team.ownership_take, name="ownership_take"),
    path("ownership/<int:offer>/", team.ownership_answer, name="ownership_answer"),
    path("members/", members.members, name="members"),
    path("members/<int:member>/role/", members.member_role, name="member_role"),
    path("members/<int:member>/remove/", members.member_remove, name="member_remove"),
    path("invitations/", invitations.invite, name="invite"),
    path("invitations/<int:invitation>/revoke/", invitations.invitation_revoke, name="invitation_revoke"),
    path("projects/", projects.projects, name="projects"),
    path("new-project/", projects.project_new, name="project_new"),  # below projects/ it would hide one called new
    path("projects/<slug:project>/", projects.project, name="project"),
    path("projects/<slug:project>/rename/", projects.project_rename, name="project_rename"),
    path("projects/<slug:project>/retention/", projects.project_retention, name="project_retention"),
    path("projects/<slug:project>/delete/", projects.project_delete, name="project_delete"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.token_new, name="token_new"),
    path("tokens/<int:token>/rotate/", tokens.token_rotate, name="token_rotate"),
    path("tokens/<int:token>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("shares/", links.shares, name="shares"),
    path("shares/new/", links.share_new, name="share_new"),
    path("shares/<int:share>/revoke/", links.share_revoke, name="share_revoke"),
    path("badges/new/", links.badge_new, name="badge_new"),
    path("badges/<int:badge>/revoke/", links.badge_revoke, name="badge_revoke"),
    path("trash/", trash.trash, name="trash"),
    path("trash/restore/", trash.trash_restore, name="trash_restore"),
    path("trash/remove/", trash.trash_remove, name="trash_remove"),
    path("audit/", audit.audit, name="audit"),
    path("audit.csv", audit.audit_csv, name="audit_csv"),
]

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("report/", report.report, name="report"),
    path("report.csv", report.report_csv, name="report_csv"),
    path("runs/", run_list.run_list, name="run_list"),
    path("runs/live", live.live_rows, name="live_rows"),
    path("runs/bulk/", bulk.bulk, name="bulk"),
    path("runs/views/", saved_views.save_view, name="save_view"),
    path("runs/views/<int:pk>/delete/", saved_views.delete_view, name="delete_view"),
    path("runs/export.<str:form>", export.run_export, name="run_export"),
    path("runs/<uuid:run_id>/", run_page.run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/notes/", run_page.run_notes, name="run_notes"),
    path("runs/<uuid:run_id>/recompute/", run_page.run_recompute, name="run_recompute"),
    path("runs/<uuid:run_id>/delete/", run_page.delete_run, name="delete_run"),
    path("runs/<uuid:run_id>/series", run_page.run_series, name="run_series"),
    path("runs/<uuid:run_id>/series.<str:form>", run_export.series_export, name="series_export"),
    path("runs/<uuid:run_id>/metrics.<str:form>", run_export.metrics_export, name="metrics_export"),
    path("projects/<slug:project>/better/", metric_direction.metric_direction, name="metric_direction"),
    path("compare/", compare.compare, name="compare"),
    path("compare/export.<str:form>", compare.compare_export, name="compare_export"),
    path("models/", models.model_list, name="model_list"),
    path("models/<slug:project>/<slug:slug>/", models.model_detail, name="model_detail"),
    path("models/<slug:project>/<slug:slug>/cite/", cite.model_cite, name="model_cite"),
    path("models/<slug:project>/<slug:slug>/cite.<str:form>", cite.model_citation, name="model_citation"),
    path("models/<slug:project>/<slug:slug>/delete/", models.delete_model, name="delete_model"),
    path("models/<slug:project>/<slug:slug>/notes/", models.model_notes, name="model_notes"),
    path("imports/", imports.imports, name="imports"),
    path("imports/new/", imports.import_new, name="import_new"),
    path("imports/<int:imported>/", imports.import_detail, name="import_detail"),
    path("imports/<int:imported>/parts/<int:number>/", imports.import_part, name="import_part"),
    path("imports/<int:imported>/check/", imports.import_check, name="import_check"),
    path("imports/<int:imported>/confirm/", imports.import_confirm, name="import_confirm"),
    path("imports/<int:imported>/undo/", imports.import_undo, name="import_undo"),
    path("imports/<int:imported>/discard/", imports.import_discard, name="import_discard"),
    path("hardware/", hardware.hardware_list, name="hardware_list"),
    path("hardware/<slug:slug>/", hardware.hardware_detail, name="hardware_detail"),
    path("s/<slug:secret>/", sharing.shared, {"pages": SHARED}, name="shared"),
    path("badge/<slug:key>.svg", sharing.badge, name="badge"),
    path("plan/", plan.plan, name="plan"),
    path("methodology/", methodology.methodology, name="methodology"),
    path("settings/profile/", profile.profile, name="profile"),
    path("settings/profile/export/", profile.export_my_data, name="export_my_data"),
    path("settings/profile/delete/", profile.delete_account, name="delete_account"),
    path("settings/sessions/", profile.sessions, name="sessions"),
    path("settings/theme/", profile.save_theme, name="save_theme"),
    path("agent/simple/", agent_index.packages, name="agent_packages"),
    path("agent/simple/traceml-agent/", agent_index.files, name="agent_files"),
    path("agent/<str:name>", agent_index.wheel_file, name="agent_wheel"),
    path("start/", start.start, name="start"),
    path("start/<slug:project>/", start.waiting, name="start_waiting"),
    path("start/<slug:project>/token/", start.start_token, name="start_token"),
    path("start/<slug:project>/news", start.news, name="start_news"),
    path("join/", invitations.join, name="join"),
    path("join/<str:secret>/", invitations.join_by_link, name="join_by_link"),
    path("settings/", team.settings_index, name="settings"),
    path("settings/new-team/", team.team_new, name="team_new"),
    path("settings/teams/<slug:team>/", include(of_a_team)),
]
