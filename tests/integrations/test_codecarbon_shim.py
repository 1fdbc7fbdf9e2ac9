"""A code base that moves over from CodeCarbon by one changed import, beside the real package."""

import csv
import textwrap

from tests.cases.conftest import status

SCRIPT = textwrap.dedent("""
    import time

    def work(seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sum(range(50_000))

    tracker = EmissionsTracker(
        project_name="resnet50", experiment_name="first", measure_power_secs=1, log_level="error", output_dir="."
    )
    tracker.start()
    work(1.2)
    tracker.flush()
    tracker.start_task("load")
    work(1.2)
    task = tracker.stop_task("load")
    emissions = tracker.stop()
    print([type(each).__name__ for each in (emissions, tracker.final_emissions, task)])
    print(emissions == tracker.final_emissions == tracker.final_emissions_data.emissions > 0)
    print(task.energy_consumed > 0, task.duration > 1)
    print(sorted(tracker.final_emissions_data.values))

    @track_emissions(project_name="resnet50", output_file="decorated.csv", log_level="error")
    def train(epochs):
        work(0.2)
        return epochs

    print(train(3), train.__name__)
""")


def test_a_script_does_the_same_with_the_changed_import(run, arrived, tmp_path):
    """Its results have the same types and names, and its files the same columns in the same order."""
    imports = "from {} import EmissionsTracker, track_emissions"
    said, files = {}, {}
    for package in ("codecarbon", "traceml_agent.codecarbon"):
        folder = tmp_path / package
        folder.mkdir()
        said[package], _ = run(imports.format(package) + "\n" + SCRIPT, cwd=folder)
        files[package] = {path.name.split("_")[0]: columns(path) for path in folder.glob("*.csv")}
    assert said["codecarbon"] == said["traceml_agent.codecarbon"]
    assert files["codecarbon"] == files["traceml_agent.codecarbon"]
    whole, decorated = arrived(2)
    header = whole["headers"][0]
    assert (header["model"], header["name"], status(whole)) == ("resnet50", "first", "completed")
    assert [stage["name"] for batch in whole["batches"].values() for stage in batch["stages"]][-1] == "load"
    assert decorated["headers"][0]["model"] == "resnet50"


def columns(path) -> list[str]:
    with path.open() as lines:
        return next(csv.reader(lines))


def test_every_argument_of_codecarbon_is_known(run):
    """In its order, so that a release that adds one is noticed."""
    out, _ = run(
        """
        import inspect
        import codecarbon
        from traceml_agent.integrations.codecarbon_files import DECORATOR, PLACE, TRACKER

        tracker = list(inspect.signature(codecarbon.EmissionsTracker.__init__).parameters)[1:]
        offline = list(inspect.signature(codecarbon.OfflineEmissionsTracker.__init__).parameters)
        decorator = list(inspect.signature(codecarbon.track_emissions).parameters)[1:]
        print(tracker == TRACKER, set(PLACE) < set(offline), decorator == DECORATOR)
        """
    )
    assert out == "True True True\n"


def test_arguments_without_a_meaning_are_told_once(run, arrived):
    _, err = run(
        """
        from traceml_agent.codecarbon import OfflineEmissionsTracker, OutputMethod

        for _ in range(2):
            with OfflineEmissionsTracker(country_iso_code="FRA", pue=1.2, output_methods=[OutputMethod.API]) as tracker:
                pass
        """
    )
    assert err.count("have no meaning here and are ignored: country_iso_code, pue") == 1
    arrived(2)


def test_a_training_that_raises_is_failed_and_raises(run, arrived, tmp_path):
    out, _ = run(
        """
        from traceml_agent.codecarbon import EmissionsTracker, track_emissions

        @track_emissions(project_name="resnet50")
        def train():
            raise ValueError("loss is NaN")

        try:
            train()
        except ValueError as error:
            print(error)
        """,
        cwd=tmp_path,
    )
    assert out == "loss is NaN\n"
    (stored,) = arrived()
    assert (status(stored), stored["finishes"][-1]["exception"]) == ("failed", "ValueError")
    assert (tmp_path / "emissions.csv").exists()


def test_settings_of_codecarbon_are_read_where_it_reads_them(run, arrived, tmp_path):
    """The argument wins over the environment, and that over the file."""
    (tmp_path / ".codecarbon.config").write_text("[codecarbon]\nexperiment_id = of-the-file\noutput_file = f.csv\n")
    run(
        """
        from traceml_agent.codecarbon import EmissionsTracker

        with EmissionsTracker(experiment_name="mine"):
            pass
        """,
        cwd=tmp_path,
        CODECARBON_EXPERIMENT_ID="of-the-environment",
        CODECARBON_EXPERIMENT_NAME="not-mine",
    )
    (stored,) = arrived()
    assert (stored["headers"][0]["model"], stored["headers"][0]["name"]) == ("of-the-environment", "mine")
    assert (tmp_path / "f.csv").exists()


def test_settings_for_the_door_lead_the_agent_to_the_portal(run, arrived, portal):
    run(
        f"""
        from traceml_agent.codecarbon import EmissionsTracker

        with EmissionsTracker("resnet50", api_endpoint="{portal.url}/api/codecarbon/", api_key="{portal.token}",
                              save_to_file=False):
            pass
        """,
        TRACEML_AGENT_URL="",
        TRACEML_AGENT_TOKEN="",
    )
    (stored,) = arrived()
    assert stored["headers"][0]["model"] == "resnet50"


def test_flushing_appends_a_row_or_updates_it_and_a_strange_file_is_kept(run, tmp_path):
    (tmp_path / "emissions.csv").write_text("a,b\n1,2\n")
    run(
        """
        from traceml_agent.codecarbon import EmissionsTracker

        for way, name in (("append", "emissions.csv"), ("update", "updated.csv")):
            with EmissionsTracker(on_csv_write=way, output_file=name) as tracker:
                tracker.flush()
        """,
        cwd=tmp_path,
    )
    lines = {path.name: len(path.read_text().splitlines()) for path in tmp_path.glob("*.csv*")}
    assert lines == {"emissions.csv": 3, "updated.csv": 2, "emissions.csv.bak": 2}


def test_nothing_that_goes_wrong_reaches_the_training(run, arrived, portal_down, tmp_path):
    """No portal, a folder that isn't there, calls in any order, arguments that nobody knows."""
    out, _ = run(
        """
        from traceml_agent.codecarbon import EmissionsTracker

        tracker = EmissionsTracker(output_dir="/nowhere/at/all", output_methods=["csv"], something_new=1)
        print(tracker.stop(), tracker.flush(), tracker.stop_task("none"))
        tracker.start(), tracker.start()
        tracker.start_task(), tracker.start_task()
        print(type(tracker.stop()).__name__, type(tracker.stop()).__name__)
        """
    )
    assert out == "None None None\nfloat float\n"
