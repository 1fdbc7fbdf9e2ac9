from django.urls import include, path

from runs.accounts.profile import delete_account, export_my_data, profile, save_theme, sessions
from runs.agent_index import view as agent
from runs.compare.view import compare, compare_export
from runs.hardware_pages.view import hardware_detail, hardware_list
from runs.methodology.view import methodology
from runs.model_page.cite import model_citation, model_cite
from runs.model_page.view import model_detail, model_list, model_notes
from runs.overview.view import overview
from runs.plan.view import plan
from runs.report.view import report, report_csv
from runs.run_list.bulk import bulk
from runs.run_list.exports import metrics_export, run_export, series_export
from runs.run_list.live import live_rows, run_series
from runs.run_list.saved_views import delete_view, save_view
from runs.run_list.view import run_list
from runs.run_page.deletion import delete_model, delete_run
from runs.run_page.view import run_detail, run_notes, run_recompute
from runs.sharing import links as shares
from runs.sharing.view import badge, shared
from runs.start import view as start
from runs.teams import audit, invitations, members, projects, tokens, trash
from runs.teams import team as teams
from runs.teams.metric_direction import metric_direction

of_a_team = [
    path("", teams.team, name="team"),
    path("rename/", teams.team_rename, name="team_rename"),
    path("leave/", teams.team_leave, name="team_leave"),
    path("delete/", teams.team_delete, name="team_delete"),
    path("ownership/", teams.ownership_offer, name="ownership_offer"),
    path("ownership/take/", teams.ownership_take, name="ownership_take"),
    path("ownership/<int:offer>/", teams.ownership_answer, name="ownership_answer"),
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
    path("shares/", shares.shares, name="shares"),
    path("shares/new/", shares.share_new, name="share_new"),
    path("shares/<int:share>/revoke/", shares.share_revoke, name="share_revoke"),
    path("badges/new/", shares.badge_new, name="badge_new"),
    path("badges/<int:badge>/revoke/", shares.badge_revoke, name="badge_revoke"),
    path("trash/", trash.trash, name="trash"),
    path("trash/restore/", trash.trash_restore, name="trash_restore"),
    path("trash/remove/", trash.trash_remove, name="trash_remove"),
    path("audit/", audit.audit, name="audit"),
    path("audit.csv", audit.audit_csv, name="audit_csv"),
]

urlpatterns = [
    path("", overview, name="overview"),
    path("report/", report, name="report"),
    path("report.csv", report_csv, name="report_csv"),
    path("runs/", run_list, name="run_list"),
    path("runs/live", live_rows, name="live_rows"),
    path("runs/bulk/", bulk, name="bulk"),
    path("runs/views/", save_view, name="save_view"),
    path("runs/views/<int:pk>/delete/", delete_view, name="delete_view"),
    path("runs/export.<str:form>", run_export, name="run_export"),
    path("runs/<uuid:run_id>/", run_detail, name="run_detail"),
    path("runs/<uuid:run_id>/notes/", run_notes, name="run_notes"),
    path("runs/<uuid:run_id>/recompute/", run_recompute, name="run_recompute"),
    path("runs/<uuid:run_id>/delete/", delete_run, name="delete_run"),
    path("runs/<uuid:run_id>/series", run_series, name="run_series"),
    path("runs/<uuid:run_id>/series.<str:form>", series_export, name="series_export"),
    path("runs/<uuid:run_id>/metrics.<str:form>", metrics_export, name="metrics_export"),
    path("projects/<slug:project>/better/", metric_direction, name="metric_direction"),
    path("compare/", compare, name="compare"),
    path("compare/export.<str:form>", compare_export, name="compare_export"),
    path("models/", model_list, name="model_list"),
    path("models/<slug:project>/<slug:slug>/", model_detail, name="model_detail"),
    path("models/<slug:project>/<slug:slug>/cite/", model_cite, name="model_cite"),
    path("models/<slug:project>/<slug:slug>/cite.<str:form>", model_citation, name="model_citation"),
    path("models/<slug:project>/<slug:slug>/delete/", delete_model, name="delete_model"),
    path("models/<slug:project>/<slug:slug>/notes/", model_notes, name="model_notes"),
    path("hardware/", hardware_list, name="hardware_list"),
    path("hardware/<slug:slug>/", hardware_detail, name="hardware_detail"),
    path("s/<slug:secret>/", shared, name="shared"),
    path("badge/<slug:key>.svg", badge, name="badge"),
    path("plan/", plan, name="plan"),
    path("methodology/", methodology, name="methodology"),
    path("settings/profile/", profile, name="profile"),
    path("settings/profile/export/", export_my_data, name="export_my_data"),
    path("settings/profile/delete/", delete_account, name="delete_account"),
    path("settings/sessions/", sessions, name="sessions"),
    path("settings/theme/", save_theme, name="save_theme"),
    path("agent/simple/", agent.packages, name="agent_packages"),
    path("agent/simple/traceml-agent/", agent.files, name="agent_files"),
    path("agent/<str:name>", agent.wheel_file, name="agent_wheel"),
    path("start/", start.start, name="start"),
    path("start/<slug:project>/", start.waiting, name="start_waiting"),
    path("start/<slug:project>/token/", start.start_token, name="start_token"),
    path("start/<slug:project>/news", start.news, name="start_news"),
    path("join/", invitations.join, name="join"),
    path("join/<str:secret>/", invitations.join_by_link, name="join_by_link"),
    path("settings/", teams.settings_index, name="settings"),
    path("settings/new-team/", teams.team_new, name="team_new"),
    path("settings/teams/<slug:team>/", include(of_a_team)),
]
