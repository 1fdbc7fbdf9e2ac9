"""`python -m tests.releases.make 0.2.0`: a database of this checkout's release with something in every table.

Made once, right before a release, and never again: what counts is that it is as that release wrote it.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Tables that stay empty: what fills them lives for minutes, or is the deployment's own.
EMPTY = {
    "account_emailconfirmation",
    "auth_group_permissions",
    "cache",
    "django_admin_log",
    "django_session",
    "django_tasks_database_dbtaskresult",
    "runs_user_groups",
    "runs_user_user_permissions",
    "socialaccount_socialaccount",
    "socialaccount_socialapp",
    "socialaccount_socialtoken",
    "usersessions_usersession",
}


def main(name: str) -> None:
    """Write `NAME.backup` beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tests.served",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE_URL": f"sqlite:///{folder}/release.sqlite3",
        }
        manage = [sys.executable, str(ROOT / "manage.py")]
        for words in (["migrate", "-v0"], ["load_catalogue"], ["load_demo", "--size", "0.02"]):
            subprocess.run([*manage, *words], check=True)
        import django

        django.setup()
        fill()
        subprocess.run([*manage, "backup", str(HERE / f"{name}.backup")], check=True)


def fill() -> None:
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.test import Client, override_settings

    from hardware.models import HardwareProfile
    from runs.backup import totals
    from tests import people, wire

    cast = people.settle()
    Group.objects.create(name="Catalogue")
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        _use(cast, wire.Wire(Client(), people.token(cast.project)))
    HardwareProfile.objects.filter(device=None, fallback=False).delete()  # else the catalogue is most of the file
    HardwareProfile.history.filter(history_type="-").delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    rows = {table: columns[totals.ROWS] for table, columns in totals.of(connection).items()}
    if empty := {table for table, count in rows.items() if not count} - EMPTY:
        raise SystemExit(f"Nothing is in {', '.join(sorted(empty))}: fill it, or name it in EMPTY.")


def _use(cast, wire) -> None:
    """What people do with a portal."""
    from allauth.account.models import EmailAddress
    from allauth.mfa.models import Authenticator

    from hardware.models import HardwareProfile
    from runs.ingest.removal import remove_run
    from runs.ingest.tags import tag_run
    from runs.jobs import reestimate
    from runs.models import Badge, Invitation, Membership, OwnershipOffer, Run, SavedView, ShareLink
    from tests.wire import A100, CPU, MEMORY, batch, sample

    kept = wire.whole_run(devices=(A100, CPU, MEMORY), params={"lr": 0.1, "sizes": [64, 64]}, tags=["paper"])
    gone = wire.whole_run()
    refused = wire.start(model="of a refused batch")
    assert wire.put(f"runs/{refused}/batches/b-1", b"no JSON").status_code == 400
    calls = wire.start(model="server", kind="inference")
    wire.send(calls, "b-1", batch([sample("gpu-0", 60, 30, 9000.0)]))
    remove_run(Run.objects.get(run_id=gone))
    run = Run.objects.get(run_id=kept)
    tag_run(run, "Größe 語")
    alices, bobs = (Membership.objects.get(user=user) for user in (cast.alice, cast.bob))
    EmailAddress.objects.create(user=cast.alice, email=cast.alice.email, verified=True, primary=True)
    Authenticator.objects.create(user=cast.alice, type="totp", data={"secret": "not one"})
    Invitation.issue(alices, "viewer", "dora@example.org")
    OwnershipOffer.make(alices, bobs, steps_back=True)
    SavedView.objects.create(user=cast.bob, project=cast.project, name="Paper", query="tag=paper")
    ShareLink.make(cast.project, 7, True, cast.alice)
    Badge.make(cast.project, "emissions", cast.alice)
    profile = HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")
    profile.full_load_w = 431
    profile.save()
    reestimate.request("A corrected TDP")
    reestimate.work_off()


if __name__ == "__main__":
    main(sys.argv[1])
