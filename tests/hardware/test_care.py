"""What an admin sees before a correction is saved, and what happens after; unknown devices; the factor."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from hardware.models import HardwareAlias, HardwareProfile
from runs.jobs import reestimate
from runs.models import AuditEntry, Device, EmissionFactor, Pue, Reestimation, Run
from tests.hardware.test_admin import save
from tests.wire import CPU, sample

UNKNOWN = "/admin/runs/unknowndevice/"
FACTORS = "/admin/runs/emissionfactor/"
PUES = "/admin/runs/pue/"
ACME = {"key": "gpu-0", "kind": "gpu", "name": "Acme Thinker 9", "uuid": "GPU-9"}


@pytest.fixture
def staff(admin_client, catalogue):
    return admin_client


def a100() -> HardwareProfile:
    return HardwareProfile.objects.get(slug="nvidia-a100-sxm4-40gb")


def again(client, page, **more):
    """Press the button of the page in between."""
    return client.post(page.request["PATH_INFO"], dict(page.context["given"]) | more)


def test_a_change_of_power_shows_what_it_reaches_and_saves_nothing_yet(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    page = save(staff, a100(), tdp_w="500")
    assert "affects <strong>1 run</strong> of 1 team" in page.content.decode()
    assert (a100().tdp_w, Reestimation.objects.count()) == (400, 0)


def test_confirmed_it_is_saved_and_its_runs_follow(staff, wire, admin_user):
    wire.whole_run([sample("gpu-0", 3600, 3600)])
    assert again(staff, save(staff, a100(), tdp_w="500", full_load_w="500")).status_code == 302
    asked = Reestimation.objects.get()
    assert (a100().tdp_w, asked.requested_by) == (500, admin_user)
    assert "A datasheet says so." in asked.reason
    reestimate.work_off()
    assert Run.objects.get().energy_kwh == pytest.approx(0.5, rel=1e-12)


def test_a_change_that_reaches_no_run_is_saved_at_once(staff, wire):
    wire.whole_run([sample("cpu-0", 3600, 1800, 5e5)], [CPU | {"basis": "counter"}])
    assert save(staff, a100(), tdp_w="500").status_code == 302
    assert (a100().tdp_w, Reestimation.objects.count()) == (500, 0)


def test_a_refused_change_shows_its_form_not_what_it_would_reach(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    answer = save(staff, a100(), tdp_w="-1")
    assert "given" not in answer.context
    assert "tdp_w" in answer.context["adminform"].form.errors


def test_an_imports_preview_tells_what_it_would_reach(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    text = b"slug,tdp_w,full_load_w\nnvidia-a100-sxm4-40gb,500,500\n"
    given = {"import_file": SimpleUploadedFile("p.csv", text), "format": "0", "resource": ""}
    preview = staff.post("/admin/hardware/hardwareprofile/import/", given)
    assert "affects <strong>1 run</strong>" in preview.content.decode()
    assert a100().full_load_w != 500
    form = preview.context["confirm_form"].initial
    staff.post(reverse("admin:hardware_hardwareprofile_process_import"), form)
    reestimate.work_off()
    assert Run.objects.get().energy_kwh == pytest.approx((46 * 3600 + 454 * 1800) / 3.6e6, rel=1e-12)


def test_a_deleted_profiles_runs_follow(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    staff.post(reverse("admin:hardware_hardwareprofile_delete", args=[a100().pk]), {"post": "yes"})
    assert Reestimation.objects.count() == 1


def test_unknown_devices_are_listed_with_what_they_touch(staff, wire, charlies_wire):
    for each in (wire, wire, charlies_wire):
        each.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    page = staff.get(UNKNOWN)
    (found,) = page.context["found"]
    assert (found["name"], found["runs"], found["teams"]) == ("Acme Thinker 9", 3, 2)
    assert "Acme Thinker 9" in page.content.decode()


def test_an_unknown_device_is_resolved_to_a_profile(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    assert staff.get(f"{UNKNOWN}resolve/?name=Acme+Thinker+9").status_code == 200
    page = staff.post(f"{UNKNOWN}resolve/", {"name": "Acme Thinker 9", "profile": a100().pk})
    assert "1 run" in page.content.decode()
    assert not HardwareAlias.objects.filter(name="Acme Thinker 9").exists()
    assert again(staff, page).status_code == 302
    reestimate.work_off()
    assert Device.objects.get().basis == "tdp"
    assert staff.get(UNKNOWN).context["found"] == []


@pytest.mark.parametrize(
    "given", [{}, {"name": "x" * 300}, {"name": "Tesla T4"}, {"profile": "no"}, {"name": "a\x00b"}]
)
def test_what_can_not_be_resolved_is_said(staff, given):
    answer = staff.post(f"{UNKNOWN}resolve/", {"name": "Acme", "profile": a100().pk} | given)
    assert answer.status_code in (200, 400)
    assert Reestimation.objects.count() == 0


def test_an_unknown_device_becomes_a_new_profile(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    (found,) = staff.get(UNKNOWN).context["found"]
    form = staff.get(found["new"])
    assert form.context["adminform"].form.initial["name"] == "Acme Thinker 9"
    fields = {"name": "Acme Thinker 9", "slug": "acme-thinker-9", "kind": "gpu", "tdp_w": "100", "unit": "device"}
    fields |= {"confidence": "datasheet", "reason": "new", "aliases-TOTAL_FORMS": 0, "aliases-INITIAL_FORMS": 0}
    again(staff, staff.post("/admin/hardware/hardwareprofile/add/", fields))
    reestimate.work_off()
    assert Device.objects.get().profile.slug == "acme-thinker-9"


def test_a_factor_in_force_is_for_new_runs_and_offered_to_the_others(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    staff.post(f"{FACTORS}add/", {"kg_per_kwh": "0.4", "year": "2025", "source": "Ember"})
    new = EmissionFactor.objects.get(kg_per_kwh=0.4)
    assert not new.active
    page = staff.post(FACTORS, {"action": "put_in_force", "_selected_action": [new.pk]})
    assert "1 run" in page.content.decode()
    assert not EmissionFactor.objects.get(pk=new.pk).active
    again(staff, page, _leave_runs="1")
    assert (EmissionFactor.objects.active(), Reestimation.objects.count()) == (new, 0)


def test_asked_for_the_runs_take_the_new_factor(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    new = EmissionFactor.objects.create(kg_per_kwh=0.4, year=2025, source="Ember")
    again(staff, staff.post(FACTORS, {"action": "put_in_force", "_selected_action": [new.pk]}))
    reestimate.work_off()
    assert Run.objects.get().factor == new


def test_a_factor_is_never_changed(staff):
    factor = EmissionFactor.objects.active()
    answer = staff.post(f"{FACTORS}{factor.pk}/change/", {"kg_per_kwh": "9", "year": "2025", "source": "x"})
    assert answer.status_code == 403
    assert EmissionFactor.objects.active().kg_per_kwh == factor.kg_per_kwh


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e9", "", "many"])
def test_a_factor_that_can_not_be_is_refused(staff, value):
    staff.post(f"{FACTORS}add/", {"kg_per_kwh": value, "year": "2025", "source": "x"})
    assert not EmissionFactor.objects.filter(source="x").exists()


def test_a_pue_in_force_is_for_new_runs_and_offered_to_the_others(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    old = Run.objects.get()
    staff.post(f"{PUES}add/", {"value": "1.25", "source": "our own meters, 2025"})
    new = Pue.objects.get(value=1.25)
    assert Pue.objects.active().value == 1
    page = staff.post(PUES, {"action": "put_in_force", "_selected_action": [new.pk]})
    assert "1 run" in page.content.decode()
    assert Pue.objects.active().value == 1
    again(staff, page, _leave_runs="1")
    assert (Pue.objects.active(), Reestimation.objects.count(), Run.objects.get().pue) == (new, 0, 1)
    assert AuditEntry.objects.get(action="PUE changed").subject == "PUE 1.25, for new runs only"
    again(staff, staff.post(PUES, {"action": "put_in_force", "_selected_action": [new.pk]}))
    reestimate.work_off()
    run = Run.objects.get()
    assert (run.pue, run.factor) == (1.25, old.factor)
    assert run.emissions_kg == pytest.approx(1.25 * old.emissions_kg, rel=1e-12)


def test_a_pue_is_never_changed_and_its_history_stays(staff):
    pue = Pue.objects.active()
    assert staff.post(f"{PUES}{pue.pk}/change/", {"value": "2", "source": "x"}).status_code == 403
    Pue.objects.create(value=1.1, source="2026").put_in_force()
    assert list(Pue.objects.values_list("value", "active")) == [(1.1, True), (1.0, False)]


@pytest.mark.parametrize("value", ["0.99", "-1", "nan", "inf", "9", "", "many"])
def test_a_pue_that_can_not_be_is_refused(staff, value):
    staff.post(f"{PUES}add/", {"value": value, "source": "x"})
    assert not Pue.objects.filter(source="x").exists()


def test_the_newest_worlds_average_is_in_force_as_it_was_published(db):
    factor = EmissionFactor.objects.active()
    assert (factor.kg_per_kwh, factor.year) == (0.458, 2025)
    EmissionFactor.objects.load()
    assert EmissionFactor.objects.get(year=2024, source__startswith="CO2.js").kg_per_kwh == 0.47294


def test_the_worlds_averages_of_several_years_come_with_the_data(db):
    EmissionFactor.objects.load()
    assert {2022, 2023, 2024} <= set(EmissionFactor.objects.values_list("year", flat=True))
    assert EmissionFactor.objects.filter(active=True).count() == 1
    assert EmissionFactor.objects.load() == 0


def test_progress_is_seen_and_the_page_looks_again_by_itself(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    again(staff, save(staff, a100(), tdp_w="500", full_load_w="500"))
    waiting = staff.get("/admin/runs/reestimation/")
    assert (">waiting<" in waiting.content.decode(), waiting["Refresh"]) == (True, "3")
    reestimate.work_off()
    done = staff.get("/admin/runs/reestimation/")
    assert ("1 of 1 runs" in done.content.decode(), "Refresh" in done) == (True, False)


@pytest.mark.parametrize("path", [UNKNOWN, f"{UNKNOWN}resolve/", FACTORS, "/admin/runs/reestimation/"])
def test_the_care_is_closed_to_everyone_but_staff(client, people, path):
    client.force_login(people.alice)
    assert client.get(path).status_code in (302, 403)


def written() -> list[tuple]:
    return list(AuditEntry.objects.values_list("action", "team", "actor__email"))


def test_a_correction_is_in_the_audit_log_once_it_is_saved(staff, wire, admin_user):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    page = save(staff, a100(), tdp_w="500")
    assert written() == []
    again(staff, page)
    assert written() == [("hardware profile changed", None, admin_user.email)]
    assert "A datasheet says so." in AuditEntry.objects.get().subject


def test_a_refused_correction_is_not_in_the_audit_log(staff):
    save(staff, a100(), tdp_w="-1", _confirmed="1")
    assert written() == []


@pytest.mark.parametrize("more", [{}, {"_leave_runs": "1"}], ids=["for all runs", "for runs to come"])
def test_a_factor_put_in_force_is_in_the_audit_log(staff, admin_user, more):
    EmissionFactor.objects.active()
    other = EmissionFactor.objects.create(kg_per_kwh=0.5, year=2025, source="a test")
    chosen = {"action": "put_in_force", "_selected_action": [other.pk]}
    assert staff.post(FACTORS, chosen).status_code == 200
    assert written() == []
    staff.post(FACTORS, chosen | {"_confirmed": "1"} | more)
    assert written() == [("emission factor changed", None, admin_user.email)]


def test_the_start_page_of_the_admin_tells_of_unknown_devices(staff, wire):
    wire.whole_run([sample("gpu-0", 3600, 1800)])
    assert "unknown device" not in staff.get("/admin/").content.decode()
    wire.whole_run([sample("gpu-0", 3600, 1800)], [ACME])
    assert "1 unknown device<" in staff.get("/admin/").content.decode()


def test_a_new_factor_says_that_it_is_not_in_force_yet(staff):
    page = staff.post(f"{FACTORS}add/", {"kg_per_kwh": "0.4", "year": "2025", "source": "Ember"}, follow=True)
    assert "is not in force yet" in page.content.decode()
