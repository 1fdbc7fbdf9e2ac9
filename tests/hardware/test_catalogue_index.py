"""The index that names are matched with follows every change of the catalogue, in every process."""

import pytest
from django.db import transaction

from hardware import loading
from hardware.models import CatalogueState, HardwareAlias, HardwareProfile
from tests.hardware.seeds import card, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(tmp_path) -> HardwareProfile:
    loading.load(write(tmp_path, card()))
    return HardwareProfile.objects.get(slug="acme-one")


def matched(name: str = "Acme One"):
    return HardwareProfile.objects.catalogue().match(name, "gpu")


def test_the_index_is_kept_while_nothing_changes(acme, django_assert_num_queries):
    matched()
    with django_assert_num_queries(1):
        assert matched().tdp_w == 200


def test_a_changed_power_is_seen(acme):
    assert matched().tdp_w == 200
    acme.tdp_w = 150
    acme.save()
    assert (matched().tdp_w, matched().revision) == (150, 2)


def test_a_change_of_one_field_alone_is_a_new_revision_too(acme):
    acme.tdp_w = 150
    acme.save(update_fields=["tdp_w"])
    assert HardwareProfile.objects.get().revision == 2


def test_a_new_alias_is_found_and_a_deleted_one_no_more(acme):
    assert matched("Zeta 9") is None
    alias = HardwareAlias.objects.create(profile=acme, name="Zeta 9")
    assert matched("zeta  9").slug == "acme-one"
    alias.delete()
    assert matched("Zeta 9") is None


def test_a_deleted_profile_is_found_no_more(acme):
    assert matched()
    acme.delete()
    assert matched() is None


def test_a_reload_of_changed_seed_data_is_seen(acme, tmp_path):
    assert matched().tdp_w == 200
    loading.load(write(tmp_path, card(tdp_w="250")))
    assert matched().tdp_w == 250


def test_a_change_that_was_rolled_back_leaves_the_index_as_the_rows_are(acme):
    version = CatalogueState.current()
    with transaction.atomic():
        acme.tdp_w = 150
        acme.save()
        assert matched().tdp_w == 150
        transaction.set_rollback(True)
    assert CatalogueState.current() == version
    assert matched().tdp_w == 200


def test_a_change_by_another_process_is_seen(acme):
    assert matched().tdp_w == 200
    HardwareProfile.objects.filter(pk=acme.pk).update(tdp_w=150)  # as another process would: past this one's index
    CatalogueState.renew()
    assert matched().tdp_w == 150
