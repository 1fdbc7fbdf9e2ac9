"""The catalogue in the admin: found by any name, corrected with care, closed to everyone but staff."""

import pytest
from django.urls import reverse

from hardware import loading
from hardware.models import HardwareAlias, HardwareProfile
from tests.hardware.seeds import card, write

LIST = "/admin/hardware/hardwareprofile/"
FIELDS = ("name", "slug", "vendor", "kind", "family", "form_factor", "tdp_w", "unit", "confidence")


@pytest.fixture
def seed(tmp_path, db):
    """Two cards in a seed directory, loaded."""
    write(tmp_path, card(), card(slug="acme-two", name="Acme Two", aliases="ACME-2", vendor="Bolt"))
    loading.load(tmp_path)
    return tmp_path


@pytest.fixture
def staff(admin_client, seed):
    return admin_client


def profile(slug: str = "acme-one") -> HardwareProfile:
    return HardwareProfile.objects.get(slug=slug)


def save(client, saved: HardwareProfile, aliases=(), **changes):
    """Send the profile's form with its aliases, then the new ones, and with these changes."""
    form = {field: getattr(saved, field) for field in FIELDS} | {"reason": "A datasheet says so."} | changes
    kept = list(saved.aliases.all())
    for index, alias in enumerate(kept):
        form |= {f"aliases-{index}-id": alias.pk, f"aliases-{index}-name": alias.name}
    for index, name in enumerate(aliases, len(kept)):
        form |= {f"aliases-{index}-name": name}
    form |= {"aliases-TOTAL_FORMS": len(kept) + len(aliases), "aliases-INITIAL_FORMS": len(kept)}
    return client.post(reverse("admin:hardware_hardwareprofile_change", args=[saved.pk]), form)


def complaint(answer) -> str:
    """The errors of a form that was refused: a page, not a redirect and not a failure."""
    assert answer.status_code == 200
    forms = answer.context["inline_admin_formsets"][0].formset
    return str(answer.context["adminform"].form.errors) + str(forms.errors) + str(forms.non_form_errors())


def test_the_list_shows_all_profiles_in_a_fixed_number_of_queries(staff, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        page = staff.get(LIST).content.decode()
    assert "Acme One" in page
    assert "Acme Two" in page


@pytest.mark.parametrize("search", ["acme-2", "Two", "bolt", "acme-two"])
def test_search_finds_by_alias_name_vendor_and_slug(staff, search):
    page = staff.get(LIST, {"q": search}).content.decode()
    assert "Acme Two" in page
    assert "Acme One" not in page


def test_a_profile_with_several_matching_aliases_is_listed_once(staff):
    assert staff.get(LIST, {"q": "acme"}).context["cl"].result_count == 2


def test_a_save_marks_the_profile_as_edited_and_a_reload_leaves_it(staff, seed):
    assert save(staff, profile(), tdp_w="180").status_code == 302
    assert profile().edited
    loading.load(write(seed, card(tdp_w="250")))
    assert (profile().tdp_w, profile().revision) == (180, 2)


def test_an_admin_may_give_a_profile_back_to_the_seed_data(staff, seed):
    save(staff, profile(), tdp_w="180")
    save(staff, profile(), edited="")
    loading.load(write(seed, card(tdp_w="250")))
    assert profile().tdp_w == 250


def test_a_new_alias_is_the_admins_own_and_found_at_once(staff):
    assert save(staff, profile(), aliases=["Zeta 9"]).status_code == 302
    assert HardwareAlias.objects.get(name="Zeta 9").source == HardwareAlias.Source.ADMIN
    assert HardwareProfile.objects.catalogue().match("Zeta 9", "gpu").slug == "acme-one"


def test_the_same_new_alias_twice_is_a_form_error(staff):
    answer = save(staff, profile(), aliases=["Zeta 9", "zeta  9"])
    assert "is listed twice" in complaint(answer)
    assert not HardwareAlias.objects.filter(name="Zeta 9").exists()


def test_an_alias_of_another_profile_is_a_form_error(staff):
    assert "already belongs to Acme Two" in complaint(save(staff, profile(), aliases=["acme-2"]))


def test_a_change_of_kind_that_would_take_an_alias_from_another_profile_is_a_form_error(staff):
    cpu = HardwareProfile.objects.create(slug="acme-cpu", name="Acme CPU", kind="cpu", tdp_w=65)
    HardwareAlias.objects.create(profile=cpu, name="ACME-1")
    assert "belongs to Acme One" in complaint(save(staff, cpu, kind="gpu"))


@pytest.mark.parametrize("power", ["nan", "inf", "-inf", "-5", "1e9", "lots"])
@pytest.mark.parametrize("field", ["tdp_w", "idle_w", "full_load_w"])
def test_a_power_that_no_device_can_have_is_refused(staff, field, power):
    assert field in complaint(save(staff, profile(), **{field: power}))
    assert profile().tdp_w == 200


@pytest.mark.parametrize(
    "changes", [{"tdp_w": "0"}, {"tdp_w": ""}, {"idle_w": "300"}, {"idle_w": "80", "full_load_w": "70"}]
)
def test_powers_that_contradict_each_other_or_are_missing_are_refused(staff, changes):
    assert "_w" in complaint(save(staff, profile(), **changes))


def test_a_bulk_delete_is_seen_by_the_index(staff):
    assert HardwareProfile.objects.catalogue().match("Acme Two", "gpu")
    chosen = {"action": "delete_selected", "_selected_action": [profile("acme-two").pk], "post": "yes"}
    staff.post(LIST, chosen)
    assert HardwareProfile.objects.catalogue().match("Acme Two", "gpu") is None


def test_someone_who_is_not_staff_is_sent_away(client, people, seed):
    client.force_login(people.alice)
    assert client.get(LIST).status_code == 302
    assert save(client, profile(), tdp_w="1").status_code == 302
    assert profile().tdp_w == 200


def test_a_change_without_a_reason_is_refused(staff):
    assert "reason" in complaint(save(staff, profile(), tdp_w="180", reason=""))
    assert profile().tdp_w == 200


def test_the_history_tells_who_changed_what_and_why(staff, admin_user):
    save(staff, profile(), aliases=["Zeta 9"], tdp_w="180", reason="Measured at the wall.")
    page = staff.get(reverse("admin:hardware_hardwareprofile_history", args=[profile().pk])).content.decode()
    assert "Measured at the wall.; alias Zeta 9 added" in page
    assert "TDP (W): 200.0 → 180.0" in page
    assert str(admin_user) in page


def test_what_a_reload_changed_stands_in_the_history_too(staff, seed):
    loading.load(write(seed, card(tdp_w="250")))
    assert profile().history.first().history_change_reason == loading.REASON
