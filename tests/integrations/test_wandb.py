"""A run's figures in Weights & Biases, with the real package, offline and disabled."""

import json

import pytest

from tests.cases.conftest import status

#: Prints what the file of an offline run has. It is LevelDB's log: blocks of 32 KiB with records, each with 4 bytes of
#: checksum, 2 of size and 1 that says which part it is.
READ = """
import glob, json
from wandb.proto.wandb_internal_pb2 import Record

def items(of):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in of}

rows, config, summary, at, record = [], {}, {}, 7, b""
data = open(glob.glob("wandb/latest-run/*.wandb")[0], "rb").read()
while at + 7 <= len(data):
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    size, part = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
    record, at = record + data[at + 7 : at + 7 + size], at + 7 + size
    if part in (1, 4):
        found, record = Record.FromString(record), b""
        if found.WhichOneof("record_type") == "history":
            rows.append(items(found.history.item))
        config |= items(found.run.config.update) | items(found.config.update)
        summary |= items(found.summary.update)
print(json.dumps({"rows": rows, "config": config, "theirs": summary}))
"""


@pytest.fixture
def told(run, environment):
    """What W&B has of a script's run, and our own summary of it."""
    environment["WANDB_MODE"] = "offline"

    def play(code: str) -> dict:
        out, _ = run(f"import json\n{code}\nprint(json.dumps(run.summary))")
        ours = json.loads(out.splitlines()[-1])
        out, _ = run(READ)
        return json.loads(out) | {"ours": ours}

    return play


def assert_same_figures(told: dict) -> None:
    for name in ("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "duration_s", "measured_share"):
        assert told["theirs"][f"traceml/{name}"] == pytest.approx(told["ours"][name], rel=1e-9)
    assert told["theirs"]["traceml/energy_kwh"] > 0


def their_rows(told: dict) -> list[dict]:
    """The rows of the training, without ours and W&B's own columns."""
    rows = (
        {name: value for name, value in row.items() if not name.startswith(("_", "traceml/"))} for row in told["rows"]
    )
    return [row for row in rows if row]


TRAINING = """
import time, traceml_agent, wandb

theirs = wandb.init(config={"lr": 0.1})
with traceml_agent.track("digits", report_to="wandb") as run:
    for epoch in run.epochs(range(3)):
        sum(range(10**6))
        time.sleep(1.1)
        wandb.log({"loss": 1 / (epoch + 1), "epoch": epoch}, step=10 * epoch)
    wandb.log({"accuracy": 0.9}, step=30)
wandb.finish()
"""


def test_the_wandb_run_has_the_figures_of_the_summary_and_the_url(told, arrived):
    found = told(TRAINING)
    assert_same_figures(found)
    (stored,) = arrived()
    assert status(stored) == "completed"
    assert found["config"]["traceml/url"] == found["ours"]["url"]
    # Every row of the training is there at its own step, with the figures so far beside it.
    assert their_rows(found) == [
        {"loss": 1.0, "epoch": 0},
        {"loss": 0.5, "epoch": 1},
        {"loss": pytest.approx(1 / 3), "epoch": 2},
        {"accuracy": 0.9},
    ]
    assert [row["_step"] for row in found["rows"] if "epoch" in row] == [0, 10, 20]
    energies = [row["traceml/energy_kwh"] for row in found["rows"] if "traceml/energy_kwh" in row]
    assert len(energies) >= 2 and energies == sorted(energies)
    assert found["config"]["lr"] == 0.1


def test_a_training_that_fails_keeps_its_figures_with_the_portal_down_too(told, portal_down):
    found = told("""
import traceml_agent, wandb

try:
    with wandb.init() as theirs, traceml_agent.track("digits", report_to="wandb") as run:
        sum(range(10**7))
        raise ValueError("diverged")
except ValueError:
    pass
""")
    assert_same_figures(found)
    assert found["ours"]["left_out"] == []


def test_a_wandb_run_that_begins_and_ends_within_the_block_has_the_figures_as_of_its_end(told):
    found = told("""
import traceml_agent, wandb

with traceml_agent.track("digits", report_to="wandb") as run:
    theirs = wandb.init()
    run.log(loss=0.5)
    sum(range(3 * 10**7))
    theirs.finish()
    sum(range(10**7))
""")
    assert 0 < found["theirs"]["traceml/energy_kwh"] < found["ours"]["energy_kwh"]
    assert found["ours"]["left_out"] == []


def test_disabled_it_is_silent_and_changes_nothing(run, arrived):
    out, err = run(
        """
        import traceml_agent, wandb

        wandb.init()
        with traceml_agent.track("digits", report_to="wandb") as run:
            wandb.log({"loss": 0.5})
        wandb.finish()
        print(run.summary.left_out)
        """,
        WANDB_MODE="disabled",
    )
    assert out == "[]\n"
    assert "left out" not in err
    assert status(arrived()[0]) == "completed"
