"""`manage.py check_totals`: the stored totals against the stored counters."""

from tests.backup.places import done, everything, manage, opened


def test_totals_that_are_right_are_said_to_be_and_left_as_they_are(copy):
    done(copy, "rebuild_usage")  # an older release may have estimated otherwise
    before = everything(copy)
    assert "All totals" in done(copy, "check_totals")
    assert everything(copy) == before


def test_one_that_is_wrong_is_named(copy):
    done(copy, "rebuild_usage")
    with opened(copy) as rows:
        rows.execute("UPDATE runs_projectusage SET energy_kwh = energy_kwh + 1")
    before = everything(copy)
    answer = manage(copy, "check_totals")
    assert answer.returncode == 1
    assert [line.partition(":")[0] for line in answer.stderr.splitlines()[1:]] == ["runs_projectusage.energy_kwh"]
    assert everything(copy) == before
