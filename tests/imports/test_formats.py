"""Files that the real tools wrote become runs with their energy, and what a file doesn't say is left open."""

from datetime import UTC, datetime

import pytest

from runs.models import Device, Import, Run
from tests.imports.conftest import FILES

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("release", "kwh", "model"),
    [
        ("2.3.5", 5.290215579966663e-05, "digits"),
        ("2.8.4", 5.2846171674554945e-05, "resnet50"),
        ("3.0.8", 2.3942195474967388e-05, "resnet50"),
        ("3.3.0", 2.214981949623068e-05, "resnet50"),  # whose second row is shifted
        ("3.3.2", 2.4113205545090918e-05, "resnet50"),
    ],
)
def test_of_the_rows_of_a_codecarbon_run_the_longest_counts(imported, release, kwh, model):
    imported(f"codecarbon-{release}.csv")
    run = Run.objects.order_by("started_at").first()
    assert run.energy_kwh == pytest.approx(kwh) == run.reported_kwh
    assert (run.tracked_model.name, run.source, run.source_version) == (model, "codecarbon", release)
    assert (run.measured_kwh, run.status, run.duration_s > 3.5) == (0.0, "completed", True)
    assert {device.basis for device in run.devices.all()} == {"reported"}


@pytest.mark.parametrize(
    ("release", "kwh", "devices"),
    [("1.2.0", 4.7254109926230735e-05, {"cpu"}), ("2.0.0", 5.700058522773857e-05, {"cpu", "ram"})],
)
def test_each_row_of_a_first_codecarbon_is_a_run_of_its_project(imported, release, kwh, devices):
    """Its file has no version; 1.x calls the run's id `experiment_id`, and has no energy by device."""
    imported(f"codecarbon-{release}.csv")
    again = imported(f"codecarbon-{release}.csv", "the same.csv")
    assert (again.runs_added, Run.objects.count()) == (0, 2)
    run = Run.objects.get(tracked_model__name="resnet50")
    assert run.energy_kwh == pytest.approx(kwh) == run.reported_kwh
    assert {device.kind for device in run.devices.all()} == devices


def test_codecarbons_time_is_of_the_end_and_in_the_users_zone(imported):
    imported("codecarbon-2.8.4.csv", timezone="America/New_York")
    run = Run.objects.get()
    assert run.ended_at.replace(microsecond=0) == datetime(2026, 11, 28, 20, 0, 54, tzinfo=UTC).replace(hour=1, day=29)


def test_codecarbons_tasks_are_stages_of_the_run_that_its_other_file_has(imported):
    imported("codecarbon-3.3.2.csv")
    again = imported("codecarbon-3.3.2-tasks.csv")
    assert (again.runs_added, again.runs_updated, Run.objects.count()) == (0, 1, 2)
    run = Run.objects.get(stages__name="fit")
    assert [stage.name for stage in run.stages.all()] == ["load", "fit"]
    assert run.energy_kwh == pytest.approx(9.336680725528924e-06 + 9.336827642222894e-06)


def test_carbontrackers_epochs_are_stages_with_the_energy_without_its_pue(imported):
    log = next(path.name for path in FILES.glob("*_carbontracker.log"))
    imported(log)
    run = Run.objects.get()
    assert run.energy_kwh == pytest.approx(3 * 60.0 * 2.2 / 3.6e6)
    assert [stage.name for stage in run.stages.all()] == ["epoch 1", "epoch 2", "epoch 3"]
    assert (run.tracked_model.name, run.source_version) == ("resnet50", "2.4.7")


def test_each_gpu_of_a_carbontracker_log_counts_though_their_list_wraps(imported):
    log = (
        b"2026-05-01 10:00:00 - carbontracker version 2.4.7\n"
        b"2026-05-01 10:00:00 - The following components were found: GPU with device(s) NVIDIA A40, NVIDIA A40. "
        b"CPU with device(s) Intel Xeon X.\n"
        b"2026-05-01 10:01:00 - Epoch 1:\n2026-05-01 10:01:00 - Duration: 0:01:00.00\n"
        b"2026-05-01 10:01:00 - Average power usage (W) for gpu: [150.5\n 149.5]\n"
        b"2026-05-01 10:01:00 - Average power usage (W) for cpu: None\n"
    )
    imported(log, "x_carbontracker.log")
    assert [(device.name, device.energy_j) for device in Device.objects.filter(kind="gpu")] == [
        ("NVIDIA A40", 150.5 * 60),
        ("NVIDIA A40", 149.5 * 60),
    ]


def test_the_output_log_of_carbontracker_leads_to_the_other(begun):
    asked = begun(next(path.name for path in FILES.glob("*_output.log")))
    assert "ends in _carbontracker.log" in asked.problem


def test_eco2ais_epochs_add_up_to_one_run_with_their_metrics(imported):
    imported("eco2ai-0.3.12.csv")
    run = Run.objects.get(tracked_model__name="epochs")
    assert run.energy_kwh == pytest.approx(1.55366225499165e-09 + 1.4298331657395616e-08 + 1.4286151391047497e-08)
    assert run.stages.count() == 3
    assert run.metrics.get(name="loss").last == pytest.approx(0.16666666666666666)
    assert Run.objects.get(tracked_model__name="training resnet").energy_kwh == pytest.approx(6.513213688867181e-05)


@pytest.fixture
def cluster(imported) -> Import:
    rules = "train-resnet-* = resnet\ntrain|resnet-* = resnet\neval-* = {1} as evaluation"
    return imported("sacct.txt", timezone="Europe/Berlin", models=rules, cpus="AMD EPYC 7763")


def job(number: str) -> Run:
    return Run.objects.get(params__job=number)


def test_a_slurm_job_is_a_run_of_its_allocated_devices_estimated_by_the_catalogue(cluster):
    run = job("1001")
    devices = {device.key: device for device in run.devices.all()}
    assert sorted(devices) == ["cpu-0", "gpu-0", "gpu-1", "ram"]
    assert devices["gpu-0"].hardware_name == "NVIDIA A100 SXM4 40GB"
    cpu = devices["cpu-0"]
    assert (cpu.hardware_name, cpu.cores, cpu.busy_s) == ("AMD EPYC 7763", 16, 2 * 3600)  # 32 h of 16 cores
    assert devices["ram"].memory_gb == pytest.approx(128 * 1024**3 / 1e9)
    assert devices["gpu-0"].busy_s is None  # SLURM's 180 % is of both together
    assert run.started_at == datetime(2026, 3, 1, 21, tzinfo=UTC)
    assert run.energy_low_kwh < run.energy_kwh < run.energy_high_kwh


SHORT = "JobID|JobName|State|Start|Elapsed|AllocCPUS{more}\n7|train|COMPLETED|2026-03-01T22:00:00|01:00:00|4{cell}\n"


def test_what_a_slurm_job_asked_for_counts_where_its_allocation_is_not_in_the_file(imported):
    imported(SHORT.format(more="|ReqTRES", cell="|billing=4,cpu=4,gres/gpu:a100=2,mem=64G,node=1").encode())
    assert [each.key for each in job("7").devices.order_by("key")] == ["cpu-0", "gpu-0", "gpu-1", "ram"]


def test_the_preview_says_that_gpus_are_unknown_where_no_column_has_them(begun):
    left = begun(SHORT.format(more="", cell="").encode()).preview["left_aside"]
    assert left == [{"reason": "the job’s GPUs, if it had any: the file has no column AllocTRES", "count": 1}]


def test_a_slurm_jobs_energy_lies_on_the_days_it_ran(cluster):
    run = job("1001")
    days = {each.day.isoformat(): each.energy_kwh for each in run.runusage_set.all()}
    assert days["2026-03-01"] == pytest.approx(run.energy_kwh * 3 / 4)
    assert days["2026-03-02"] == pytest.approx(run.energy_kwh / 4)


@pytest.mark.parametrize(
    ("number", "status", "exception"),
    [
        ("1001", "completed", ""),
        ("1002_1", "failed", "FAILED"),
        ("1003+0", "cancelled", ""),
        ("1005", "failed", "OUT_OF_MEMORY"),
        ("1009", "stopped", "PREEMPTED"),
    ],
)
def test_a_slurm_state_is_the_runs(cluster, number, status, exception):
    assert (job(number).status, job(number).exception) == (status, exception)


def test_a_part_of_a_gpu_and_its_utilisation_are_used(cluster):
    device = job("1002_1").devices.get(kind="gpu")
    assert (device.share, device.busy_s, device.hardware_name) == (3 / 7, 900.0, "NVIDIA A100 SXM4 40GB")


def test_slurms_own_energy_takes_the_place_of_processors_and_memory(cluster):
    run = job("1003+0")
    assert [(device.basis, device.energy_j) for device in run.devices.all()] == [("reported", 7_200_000.0)]
    assert run.energy_kwh == pytest.approx(2.0)


def test_a_job_name_with_the_delimiter_is_read_whole(cluster):
    assert job("1005").name == "train|resnet-c"


def test_a_pipe_in_the_command_of_a_job_does_not_shift_its_other_cells(imported):
    columns, row = SHORT.format(more="|ReqTRES|SubmitLine", cell="|cpu=4|sbatch --wrap='a | b | c'").splitlines()
    imported(f"{columns}\n{row}\n".encode())
    run = job("7")
    assert (run.name, run.status, run.duration_s) == ("train", "completed", 3600)


def test_a_row_is_refused_where_nothing_tells_whose_text_has_the_delimiter(begun):
    columns, row = SHORT.format(more="|Comment|SubmitLine", cell="|a | b|c").splitlines()
    asked = begun(f"{columns}\n{row}\n{row.replace(' | ', ' ')}\n".encode())
    assert (asked.preview["runs"], [row["line"] for row in asked.refused]) == (1, [2])


def test_users_are_members_of_the_team_or_nobody(cluster, people):
    assert job("1001").member_id == people.alice.pk
    assert job("1002_1").member_id == people.bob.pk
    assert job("1003+0").member_id == Run.OF_NOBODY
    assert cluster.preview["unknown_users"] == [{"user": "mallory", "runs": 1}]


def test_the_rule_says_which_jobs_count_and_the_preview_how_many_do_not(cluster):
    found = {(each["name"], each["kind"]): each["runs"] for each in cluster.preview["models"]}
    assert found == {("resnet", "training"): 4, ("resnet", "evaluation"): 1}
    assert {row["reason"]: row["count"] for row in cluster.preview["left_aside"]} == {
        "the job has not ended": 2,
        "the job never ran": 1,
        "no line of the rule matches its name": 1,
    }
    assert job("1003+0").kind == "evaluation"


def test_a_row_with_impossible_values_is_refused_by_its_line(cluster):
    assert cluster.refused == [{"line": 13, "reason": "the number of CPUs is “-4”; it must be between 0 and 1,000,000"}]
