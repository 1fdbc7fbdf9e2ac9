"""Which tool a file comes from, by what is in it."""

from runs.importers.formats import carbontracker, codecarbon, eco2ai, mlflow, slurm, wandb
from runs.importers.found import FileRefused, Reading
from runs.importers.rule import Rule
from runs.importers.source import Source, split_line

READERS = {
    "codecarbon": codecarbon.read,
    "carbontracker": carbontracker.read,
    "eco2ai": eco2ai.read,
    "slurm": slurm.read,
    "mlflow": mlflow.read,
    "wandb": wandb.read,
}
NAMES = {"codecarbon": "CodeCarbon", "carbontracker": "carbontracker", "eco2ai": "eco2AI", "slurm": "SLURM"}
NAMES |= {"mlflow": "MLflow", "wandb": "Weights & Biases"}
#: How a checkout without Git LFS shows a file that it keeps.
LFS_POINTER = "version https://git-lfs."
WHAT_WE_READ = (
    "CodeCarbon’s and eco2AI’s CSV files, carbontracker’s logs, the output of SLURM’s sacct, MLflow’s mlflow.db, and "
    "W&B’s .wandb files and CSV export"
)


def recognise(source: Source) -> str:
    """Return the name of the file's format. Raises FileRefused for what is none that we read."""
    first = source.head()
    if mlflow.is_mlflow(first):
        return "mlflow"
    if wandb.is_wandb(first):
        return "wandb"
    head = next(source.lines(), "")
    if head.startswith(LFS_POINTER):
        raise FileRefused("This file only points to the real one, which Git LFS keeps. Run `git lfs pull` first.")
    headers = [split_line(head, delimiter) for delimiter in ",;\t"]
    if any(map(codecarbon.is_codecarbon, headers)):
        return "codecarbon"
    if any(map(eco2ai.is_eco2ai, headers)):
        return "eco2ai"
    if any(map(wandb.is_table, headers)):
        return "wandb"
    if slurm.is_slurm(head):
        return "slurm"
    if carbontracker.is_carbontracker(head):
        return "carbontracker"
    raise FileRefused(f"Line 1 is not of a format that can be imported. We read {WHAT_WE_READ}.")


def read(format: str, source: Source, rule: Rule) -> Reading:
    return READERS[format](source, rule)
