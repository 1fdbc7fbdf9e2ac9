"""Who may open which address, by which verb: the one table, and what is not in it nobody may.

A new route, a new model in the admin or a new action fails the walks until it stands here.
"""

from runs.rights import Right, Role

#: Whom a route is for, where no right in a team decides.
EVERYBODY, A_TOKEN, ONESELF, ITS_MAKER, STAFF, NOBODY = (
    "everybody",
    "a token",
    "oneself",
    "its maker",
    "staff",
    "nobody",
)

READ, WRITE = ("get",), ("post",)
BOTH = READ + WRITE


def door(who, *verbs: str) -> dict:
    return dict.fromkeys(verbs, who)


def each(names: str, who, *verbs: str) -> dict[str, dict]:
    return {name: door(who, *verbs) for name in names.split()}


PAGES: dict[str | None, dict] = {
    # Public: tests/site/test_doors.py names why.
    **each("healthz", EVERYBODY, *BOTH, "delete"),
    **each("api-schema api_docs methodology agent_packages agent_files agent_wheel shared badge", EVERYBODY, *READ),
    **each("account_login account_logout account_inactive account_signup account_reset_password", EVERYBODY, *BOTH),
    **each("account_email_verification_sent account_confirm_email account_reset_password_done", EVERYBODY, *BOTH),
    **each("account_reset_password_from_key account_reset_password_from_key_done mfa_login_webauthn", EVERYBODY, *BOTH),
    **each("openid_connect_login openid_connect_callback", EVERYBODY, *BOTH),
    **each("socialaccount_login_cancelled socialaccount_login_error join_by_link", EVERYBODY, *BOTH),
    # By a token: the deployment's own, or a project's.
    **each("metrics api-runs api-run api-batch api-finish api-series api-metrics", A_TOKEN, *BOTH, "put", "delete"),
    **each("api-run-totals api-stages api-compare api-project api-plan api-usage", A_TOKEN, *BOTH, "put", "delete"),
    **each("api-models api-model api-citation api-summary api-factor", A_TOKEN, *BOTH, "put", "delete"),
    **each("api-hardware api-hardware-profile", A_TOKEN, *BOTH, "put", "delete"),
    **each("codecarbon-runs codecarbon-emissions codecarbon-hook", A_TOKEN, *BOTH, "put", "delete"),
    **each("api-imports api-import api-import-part api-import-check", A_TOKEN, *BOTH, "put", "delete"),
    **each("api-import-confirm api-import-undo", A_TOKEN, *BOTH, "put", "delete"),
    # What concerns oneself, or shows no more than one's own.
    **each("account_email account_reauthenticate account_change_password account_set_password", ONESELF, *BOTH),
    **each(
        "account_confirm_login_code mfa_index mfa_authenticate mfa_reauthenticate mfa_activate_totp", ONESELF, *BOTH
    ),
    **each("mfa_deactivate_totp mfa_view_recovery_codes mfa_generate_recovery_codes", ONESELF, *BOTH),
    **each("mfa_download_recovery_codes mfa_list_webauthn mfa_add_webauthn", ONESELF, *BOTH),
    **each("mfa_reauthenticate_webauthn mfa_remove_webauthn mfa_edit_webauthn", ONESELF, *BOTH),
    **each("socialaccount_signup socialaccount_connections", ONESELF, *BOTH),
    **each(
        "overview report report_csv run_list live_rows run_export compare compare_export model_list", ONESELF, *READ
    ),
    **each("hardware_list hardware_detail plan export_my_data settings imports", ONESELF, *READ),
    **each("profile delete_account sessions team_new start join", ONESELF, *BOTH),
    **each("save_view save_theme bulk import_new", ONESELF, *WRITE),
    **each("delete_view", ITS_MAKER, *WRITE),
    # Of a team.
    **each("run_detail run_series series_export metrics_export model_detail model_cite", Right.SEE, *READ),
    **each("model_citation start_waiting start_news team members projects project tokens", Right.SEE, *READ),
    **each("shares", Right.SHARE, *READ),
    **each("audit audit_csv", Right.READ_AUDIT, *READ),
    **each("import_detail", Right.SEE, *READ),
    **each("import_part import_check import_confirm import_undo import_discard", Right.CHANGE_RUNS, *WRITE),
    **each("run_notes model_notes", Right.WRITE_NOTES, *BOTH),
    **each("run_recompute", Right.CHANGE_RUNS, *WRITE),
    **each("delete_run delete_model", Right.CHANGE_RUNS, *BOTH),
    **each("trash", Right.CHANGE_RUNS, *READ),
    **each("trash_restore", Right.CHANGE_RUNS, *WRITE),
    **each("trash_remove", Right.MANAGE_PROJECTS, *WRITE),
    **each("metric_direction", Right.WRITE_NOTES, *WRITE),
    **each("start_token token_new", Right.MAKE_TOKENS, *WRITE),
    **each("team_rename", Right.RENAME_TEAM, *WRITE),
    **each("team_leave", Right.LEAVE, *WRITE),
    **each("team_delete", Right.DELETE_TEAM, *WRITE),
    **each("ownership_offer", Right.OFFER_OWNERSHIP, *WRITE),
    "ownership_take": {"post": set()},  # as long as an owner can act
    "ownership_answer": {"post": {Role.OWNER, Role.MEMBER}},  # who made the offer, and whom it is made to
    **each("member_role member_remove", Right.MANAGE_MEMBERS, *WRITE),
    **each("invite invitation_revoke", Right.INVITE, *WRITE),
    **each("project_new", Right.MAKE_PROJECTS, *WRITE),
    **each("project_rename project_retention project_delete", Right.MANAGE_PROJECTS, *WRITE),
    **each("token_rotate token_revoke", Right.MANAGE_TOKENS, *WRITE),
    **each("share_new share_revoke badge_new badge_revoke", Right.SHARE, *WRITE),
}

#: Addresses that take forms alone: a GET leads to the form's page, changes nothing and tells nothing.
FORMS = {name for name, doors in PAGES.items() if doors and "get" not in doors}

#: Of the admin's own pages, which belong to no model.
ADMIN_PAGES = {"index", "password_change", "password_change_done", "jsi18n", "autocomplete", "view_on_site", "app_list"}
ADMIN_DOORS = {"login", "logout", "admin_password_change", "password_change"}  # the last two lead to one's own page

#: Model → the permissions of it that its admin gives anything for, and each action with the permission that it takes.
MODELS: dict[str, tuple[set[str], dict[str, str]]] = {
    "account.emailaddress": ({"view"}, {"confirm": "change"}),
    "usersessions.usersession": ({"view", "delete"}, {"delete_selected": "delete"}),
    "mfa.authenticator": ({"view", "delete"}, {"delete_selected": "delete"}),
    "auth.group": ({"view"}, {}),  # to change what rights a group has is a superuser's
    "hardware.hardwareprofile": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"}),
    "hardware.cloudinstance": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"}),
    "runs.emissionfactor": ({"view", "add"}, {"put_in_force": "change"}),
    "runs.pue": ({"view", "add"}, {"put_in_force": "change"}),
    "runs.unknowndevice": ({"view"}, {}),
    "runs.reestimation": ({"view"}, {}),
    "runs.user": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"}),
    "runs.team": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"}),
    "runs.project": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"}),
    "runs.apitoken": ({"view"}, {"revoke": "change"}),
    "runs.run": ({"view", "delete"}, {"delete_selected": "delete"}),
    "runs.auditentry": ({"view"}, {}),
    "runs.job": ({"view"}, {"try_now": "change"}),
}
#: What only a superuser gets of a model, beside what `MODELS` says.
SUPERUSERS = {"auth.group": ({"view", "add", "change", "delete"}, {"delete_selected": "delete"})}

#: What a page of a model takes, by the end of its route's name and the verb: one of these permissions.
LOOK = {"view", "change"}
MODEL_PAGES: dict[str, dict[str, set[str]]] = {
    "changelist": {"get": LOOK},
    "add": {"get": {"add"}, "post": {"add"}},
    "change": {"get": LOOK, "post": {"change"}},
    "delete": {"get": {"delete"}, "post": {"delete"}},
    "history": {"get": LOOK},
    "export": {"get": LOOK},
    "import": {"get": {"change"}, "post": {"change"}},
    "process_import": {"post": {"change"}},
}
#: Pages that take more than one permission.
TAKES_ALL = {
    "runs_user_add": {"runs.add_user", "runs.change_user"},
    "runs_team_add": {"runs.add_team", "runs.add_membership"},
    "runs_unknowndevice_resolve": {"runs.change_unknowndevice", "hardware.add_hardwarealias"},
}
#: Routes whose names are not made of their model's.
PASSWORD = "auth_user_password_change"
