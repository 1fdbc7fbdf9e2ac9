"""What the demo team did: its people, its models, and when it trained, failed, tuned and served them.

Plain data that only the seed and the end decide; nothing here touches the database.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

#: `.invalid` can never be a real domain, so no real person is ever taken for one of these.
PEOPLE = [
    ("ines@demo.traceml.invalid", "Ines", "Moreau", "owner"),
    ("jonas@demo.traceml.invalid", "Jonas", "Lind", "admin"),
    ("priya@demo.traceml.invalid", "Priya", "Raman", "member"),
    ("tomas@demo.traceml.invalid", "Tomás", "Vega", "member"),
    ("wen@demo.traceml.invalid", "Wen", "Zhao", "viewer"),
]
PROJECTS = ("Vision", "Language", "Recommender")
#: Whose tokens announce the runs on each machine.
SENDERS = {
    "h100": "jonas@demo.traceml.invalid",
    "a100": "priya@demo.traceml.invalid",
    "rtx": "ines@demo.traceml.invalid",
    "helix": "tomas@demo.traceml.invalid",
    "cpu": "tomas@demo.traceml.invalid",
}
DAYS = 182
#: Shares of runs that end otherwise than they should.
FAILED, CANCELLED, LOST, PREEMPTED = 0.07, 0.04, 0.02, 0.02
EXCEPTIONS = ("OutOfMemoryError", "ValueError", "ConnectionError", "RuntimeError", "FileNotFoundError")


class Work(NamedTuple):
    """One thing that the team does again and again with a model on a machine.

    `days` are the first and last of the half year; `a_day` is how many runs begin on a working day between them.
    """

    project: str
    model: str
    kind: str
    machine: str
    cards: int
    hours: tuple[float, float]
    busy: tuple[float, float]
    days: tuple[int, int]
    a_day: float
    stages: int = 0
    metric: str = ""
    best: tuple[float, float] = (0.0, 0.0)
    grid: dict[str, list] = {}
    tags: tuple[str, ...] = ()
    items_a_second: float = 0.0
    weekends: bool = False


#: What the team wrote on its models.
NOTES = {
    "support-llm-7b": """\
Answers support tickets: pretrained here, then tuned with LoRA on [labelled threads](/runs/?tag=lora).

| rank | worth it? |
|---|---|
| 8 | yes, the default |
| 64 | no: the same loss for more energy |

1. Rank 64 is **not** run again.
2. Serve in `bf16`, in batches of 16.
""",
}

LRS = [0.0003, 0.001, 0.003]


def _serving(
    project: str, model: str, machine: str, cards: int, hours, days, a_day: float, items: float, *tags
) -> Work:
    """A model in use: every day, weekends too, and never quite busy."""
    tags = ("production", *tags)
    return Work(project, model, "inference", machine, cards, hours, (0.2, 0.5), days, a_day, tags=tags,
                items_a_second=items, weekends=True)  # fmt: skip


WORKS = [
    Work("Vision", "resnet-50", "training", "a100", 1, (1.5, 4), (0.82, 0.96), (0, 60), 0.75, 18, "accuracy",
         (0.1, 0.771), {"lr": LRS, "batch_size": [128, 256], "precision": ["fp32", "bf16"]}, ("baseline",)),
    Work("Vision", "vit-b16", "training", "a100", 4, (4, 11), (0.85, 0.97), (25, 150), 0.36, 24, "accuracy",
         (0.06, 0.834), {"lr": LRS, "batch_size": [512, 1024], "precision": ["bf16"]}, ("sweep",)),
    Work("Vision", "defect-detector", "finetuning", "rtx", 1, (0.4, 1.6), (0.7, 0.92), (40, 181), 0.55, 12, "map50",
         (0.2, 0.68), {"lr": LRS, "image_size": [640, 960]}, ("line-4",)),
    _serving("Vision", "defect-detector", "t4", 1, (7, 9), (95, 181), 0.8, 38, "line-4"),
    Work("Language", "support-llm-7b", "training", "h100", 8, (9, 26), (0.88, 0.97), (30, 75), 0.12, 6, "loss",
         (3.1, 1.62), {"lr": [0.0001, 0.0002], "sequence_length": [4096]}, ("pretraining",)),
    Work("Language", "support-llm-7b", "finetuning", "h100", 2, (1.5, 4), (0.8, 0.95), (70, 170), 0.33, 4, "loss",
         (1.9, 1.12), {"lora_rank": [8, 16, 64], "lr": [0.0001, 0.0002]}, ("lora",)),
    Work("Language", "support-llm-7b", "evaluation", "l40s", 1, (0.3, 0.9), (0.6, 0.9), (70, 181), 0.3, 3,
         "exact_match", (0.3, 0.61), {"suite": ["tickets", "mmlu"]}),
    _serving("Language", "support-llm-7b", "l40s", 2, (10, 14), (110, 181), 0.85, 2.2),
    Work("Language", "ticket-classifier", "finetuning", "l4", 1, (0.4, 1.2), (0.75, 0.95), (5, 120), 0.5, 5, "f1",
         (0.4, 0.912), {"lr": LRS, "base": ["bert-base", "distilbert"]}, ("sweep",)),
    _serving("Language", "ticket-classifier", "l4", 1, (8, 12), (60, 181), 0.55, 85),
    Work("Recommender", "two-tower", "training", "a100", 1, (0.8, 2.2), (0.55, 0.8), (0, 181), 0.3, 10, "recall_at_20",
         (0.12, 0.34), {"lr": LRS, "dim": [64, 128]}, ("nightly",), weekends=True),
    Work("Recommender", "churn-xgboost", "training", "cpu", 0, (0.1, 0.5), (0.8, 0.99), (10, 181), 0.4, 1, "auc",
         (0.7, 0.86), {"max_depth": [6, 8, 10], "trees": [500, 1000]}, ("weekly",)),
    Work("Recommender", "two-tower-helix", "other", "helix", 1, (0.3, 0.8), (0.5, 0.9), (140, 175), 0.18, 2,
         "recall_at_20", (0.1, 0.3), {"dim": [64]}, ("trial",)),
]  # fmt: skip


class Episode(NamedTuple):
    """One run of the story: its work, when it began, how long it lasted and how it ended."""

    work: Work
    number: int
    run_id: str
    started_at: datetime
    seconds: float
    outcome: str
    exception: str
    params: dict
    seed: int

    @property
    def is_open(self) -> bool:
        """No `finish` ever came: it runs, or it was lost."""
        return self.outcome in ("running", "lost")


def episodes(seed: int, size: float, until: datetime) -> list[Episode]:
    """Every run of the half year before `until`, the oldest first. `size` multiplies how many there are."""
    found = [
        episode for number, work in enumerate(WORKS) for episode in _of_work(work, seed * 1000 + number, size, until)
    ]
    return sorted([*found, *_running_now(seed, until)], key=lambda episode: episode.started_at)


def _of_work(work: Work, seed: int, size: float, until: datetime) -> Iterator[Episode]:
    random = Random(seed)  # noqa: S311  a story, not a secret
    number, midnight = 0, until.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(work.days[0], work.days[1] + 1):
        date = midnight - timedelta(days=DAYS - day)
        for _ in range(_count(random, work, date, size)):
            number += 1
            started_at = date + timedelta(hours=random.uniform(6.5, 17), seconds=random.random())
            episode = _episode(random, work, number, started_at, *_ending(random, work))
            if started_at + timedelta(seconds=episode.seconds) < until:
                yield episode


def _count(random: Random, work: Work, date: datetime, size: float) -> int:
    """How many runs begin on a day: few on weekends unless the work serves."""
    expected = work.a_day * size * (1.0 if work.weekends or date.weekday() < 5 else 0.15)
    return int(expected) + (random.random() < expected % 1)


def _ending(random: Random, work: Work) -> tuple[str, float]:
    """How a run ends, and which share of its planned time it lasts. A service that is told to stop has completed."""
    if work.kind == "inference":
        return "completed", 1.0
    drawn = random.random()
    for outcome, share in (("failed", FAILED), ("cancelled", CANCELLED), ("lost", LOST), ("stopped", PREEMPTED)):
        if drawn < share:
            return outcome, random.uniform(0.05, 0.8)
        drawn -= share
    return "completed", 1.0


def _episode(random: Random, work: Work, number: int, started_at: datetime, outcome: str, part: float) -> Episode:
    params = {name: random.choice(values) for name, values in work.grid.items()}
    pace = 0.62 if params.get("precision") == "bf16" else 1.0
    hours = random.uniform(*work.hours) * pace * part
    exception = random.choice(EXCEPTIONS) if outcome == "failed" else ""
    run_id = f"{random.getrandbits(128):032x}"
    return Episode(work, number, run_id, started_at, 3600 * hours, outcome, exception, params, random.getrandbits(32))


def _running_now(seed: int, until: datetime) -> Iterator[Episode]:
    """Two runs that are still going when the half year ends."""
    random = Random(seed)  # noqa: S311
    for number, index in enumerate((1, 7), start=900):
        work = WORKS[index]
        began = until - timedelta(hours=random.uniform(1, 2))
        episode = _episode(random, work, number, began, "running", 1.0)
        yield episode._replace(seconds=(until - began).total_seconds())
