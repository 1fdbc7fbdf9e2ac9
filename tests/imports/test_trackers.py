"""MLflow's database and W&B's run files: energy from logged power, else from named hardware, else none."""

import io
import sqlite3
import struct
import tarfile

import pytest

from runs.importers.formats.telemetry import integrate
from runs.importers.formats.wandb import records
from runs.models import Device, Run
from tests.imports.conftest import FILES

pytestmark = pytest.mark.django_db
MLFLOW, WANDB = "mlflow-3.db.gz", "wandb-0.31.wandb"
NO_ENERGY = "the file has neither its energy nor its hardware"


def test_mlflows_logged_gpu_power_becomes_the_runs_reported_energy(imported, people):
    asked = imported(MLFLOW, "mlflow.db.gz")
    run = Run.objects.get()
    gpus = list(run.devices.filter(kind="gpu").order_by("key"))
    assert [gpu.energy_j for gpu in gpus] == pytest.approx([210.0 * 600, 100.0 * 600])
    assert [(gpu.basis, gpu.busy_s) for gpu in gpus] == [("reported", pytest.approx(480.0)), ("reported", None)]
    assert (run.name, run.tracked_model.name, run.status) == ("sunny-cat-1", "resnet50", "completed")
    assert (run.params, run.tags, run.member_id) == ({"lr": "0.1", "epochs": "3"}, ["team: vision"], people.alice.pk)
    loss = run.metrics.get(name="loss")
    assert (loss.last, loss.lowest, loss.count) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 3)
    assert {row["reason"]: row["count"] for row in asked.preview["left_aside"]} == {
        NO_ENERGY: 4,
        "the run has not ended": 1,
    }


def test_the_power_curve_of_an_mlflow_run_is_kept(imported):
    imported(MLFLOW, "mlflow.db.gz")
    samples = Run.objects.get().batches.get().samples()["gpu-0"]
    assert len(samples) > 50
    assert samples[-1].energy_j == pytest.approx(126_000.0)


def test_named_hardware_gives_runs_without_power_an_estimate(imported):
    imported(MLFLOW, "mlflow.db.gz", cpus="AMD EPYC 7763")
    run = Run.objects.get(name="real")
    cpu = run.devices.get(kind="cpu")
    assert (cpu.basis, cpu.hardware_name, 0 < cpu.busy_s < run.duration_s) == ("tdp", "AMD EPYC 7763", True)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "x.db"

    def made(*statements: str) -> bytes:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return path.read_bytes()

    return made


def test_another_database_is_refused(begun, database):
    assert "no table experiments" in begun(database("CREATE TABLE t (x)")).problem


def test_views_in_the_place_of_tables_are_not_asked(begun, database):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    assert "no table experiments" in begun(database(f"CREATE VIEW experiments AS {endless}")).problem


def test_a_damaged_database_is_refused(begun, database):
    data = database("CREATE TABLE experiments (x)")
    assert "The database can't be read" in begun(data[:2000] + b"\xff" * 3000).problem


def test_an_offline_run_of_wandb_is_read_without_its_package(imported, people):
    imported(WANDB)
    run = Run.objects.get()
    assert (run.tracked_model.name, run.name, run.source_version) == ("resnet50", "sunny-1", "0.31.0")
    assert (run.params["lr"], run.tags, run.status) == (0.1, ["demo"], "completed")
    assert run.metrics.get(name="acc").last == pytest.approx(5 / 6)
    cpu = run.devices.get(kind="cpu")
    assert (cpu.name, cpu.cores, cpu.busy_s > 0) == ("AMD EPYC", 2, True)
    assert 5 < run.duration_s < 10


def test_many_runs_of_wandb_come_in_a_tar(imported):
    data, out = (FILES / WANDB).read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in (("a/run-1.wandb", data), ("b/run-2.wandb", data[:3000]), ("b/x.txt", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    asked = imported(out.getvalue(), "wandb.tar.gz")
    assert asked.runs_added == 1  # both are of the same run


def test_a_run_that_was_killed_is_read_up_to_its_last_record(imported):
    imported((FILES / WANDB).read_bytes()[:4000], "run.wandb")
    assert Run.objects.get().status == "stopped"


@pytest.mark.parametrize(
    "data", [b":W&B" + b"\xff" * 500, b":W&B\xe1\xbe\0" + struct.pack("<IHB", 0, 3, 1) + b"\xff" * 3]
)
def test_a_damaged_wandb_file_is_refused(begun, data):
    assert "No run was found" in begun(data, "run.wandb").problem


def test_records_over_block_borders_are_joined():
    head = b":W&B\xe1\xbe\0"
    first = 32 * 1024 - len(head) - 7
    data = head + struct.pack("<IHB", 0, first, 2) + b"a" * first + struct.pack("<IHB", 0, 5, 4) + b"b" * 5
    assert list(records(data)) == [b"a" * first + b"b" * 5]


TABLE = """Name,State,Notes,User,Tags,Created,Runtime,Sweep,model,lr,loss
sunny-1,finished,-,alice,"a, b",2026-05-01T12:00:00.000Z,3600,,resnet50,0.1,0.5
sunny-2,crashed,-,bob,,2026-05-02T12:00:00.000Z,60,,resnet50,0.2,
sunny-3,running,-,bob,,2026-05-02T12:00:00.000Z,60,,resnet50,0.2,
sunny-4,finished,-,bob,,2026-05-02T12:00:00.000Z,-3,,resnet50,0.2,
"""


def test_the_csv_export_of_wandb_needs_the_hardware_to_be_named(begun, imported):
    left = begun(TABLE.encode(), "wandb_export.csv").preview["left_aside"]
    assert {"reason": NO_ENERGY, "count": 2} in left
    asked = imported(TABLE.encode(), "wandb_export.csv", gpus="gpu = NVIDIA A100 SXM4 80GB")
    assert [(run.status, run.tracked_model.name) for run in Run.objects.order_by("started_at")] == [
        ("completed", "resnet50"),
        ("failed", "resnet50"),
    ]
    assert {device.hardware_name for device in Device.objects.all()} == {"NVIDIA A100 SXM4 80GB"}
    assert [row["line"] for row in asked.refused] == [5]


def test_a_gap_in_the_power_counts_nothing():
    power = [(float(at), 100.0) for at in (*range(0, 101, 10), *range(1000, 1101, 10))]
    samples, gap_s = integrate(power, 1100.0, None)
    assert (samples[-1].energy_j, gap_s) == (pytest.approx(200 * 100.0), 900.0)
