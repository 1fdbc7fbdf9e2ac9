"""What the user chooses for an import: the time zone, which runs count, for which model, and whose they are.

Patterns are globs with `*` only. A regular expression of a stranger can take hours for one name.
"""

import re
import zoneinfo
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import NamedTuple

from runs.models import Membership, Project, Run
from traceml_agent.limits import MAX_TEXT, clean

#: Lines of each list, and of the rule in the form.
MOST_LINES = 200
_PLACE = re.compile(r"\{([1-9])\}")
_KIND = re.compile(r"(.*\S)\s+as\s+(\w+)\Z")
LEAVE_OUT = "-"


class RuleInvalid(Exception):
    """A sentence about a line of the rule; `field` is its name."""

    def __init__(self, field: str, sentence: str):
        self.field = field
        super().__init__(sentence)


class ModelLine(NamedTuple):
    """`PATTERN = MODEL`, perhaps with ` as KIND`. The model `-` leaves the run out."""

    pattern: str
    model: str
    kind: str


@dataclass(frozen=True)
class Rule:
    """The choices as texts, as they are stored and shown again; lists have one entry a line."""

    timezone: str = "UTC"
    kind: str = Run.Kind.TRAINING
    #: `train-* = {1}`: which model a run belongs to, by the name that its tool gives it.
    models: str = ""
    #: `a100 = NVIDIA A100 SXM4 80GB`: the GPUs that a cluster calls by a short name.
    gpus: str = ""
    #: `AMD EPYC 7763`, or `PARTITION = AMD EPYC 7763`, where the file does not name the processor.
    cpus: str = ""
    #: `login = person@example.org`.
    members: str = ""
    #: What SLURM's own energy covers: `cpu` (processors and memory), `nodes` (everything), or `ignore`.
    energy: str = "cpu"

    ENERGIES = ("cpu", "nodes", "ignore")

    def as_json(self) -> dict:
        return {name: text for name, text in asdict(self).items() if text != getattr(Rule, name)}

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.timezone)


def parse(given: dict) -> Rule:
    """The rule of these choices. Raises RuleInvalid for the first that can't be followed."""
    unknown = set(given) - set(Rule.__dataclass_fields__)
    if unknown:
        raise RuleInvalid(min(unknown), "There is no such choice.")
    if not all(isinstance(text, str) for text in given.values()):
        raise RuleInvalid("rule", "Each choice must be a text.")
    rule = Rule(**given)
    if rule.timezone not in zoneinfo.available_timezones():
        raise RuleInvalid("timezone", "This is not a time zone such as Europe/Berlin.")
    if rule.kind not in Run.Kind.values:
        raise RuleInvalid("kind", f"A kind is one of {', '.join(Run.Kind.values)}.")
    if rule.energy not in Rule.ENERGIES:
        raise RuleInvalid("energy", f"Must be one of {', '.join(Rule.ENERGIES)}.")
    ModelRule(rule)
    for name in ("gpus", "cpus", "members"):
        pairs(name, getattr(rule, name), alone=name == "cpus")
    return rule


def pairs(field: str, text: str, alone: bool = False) -> dict[str, str]:
    """The lines `NAME = VALUE` of a list; with `alone`, a line without `=` is the value of the name `""`."""
    found: dict[str, str] = {}
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise RuleInvalid(field, f"There are more than {MOST_LINES} lines.")
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals and alone:
            name, value = "", line
        elif not (equals and name.strip() and value.strip()):
            raise RuleInvalid(field, f"“{clean(line, 60)}” is not of the form NAME = VALUE.")
        found[clean(name).lower()] = clean(value)
    return found


class ModelRule:
    """Decides by the name of a run which model and kind it has; None: no line matches, or it is left out."""

    def __init__(self, rule: Rule):
        self._lines = [_model_line(line) for line in _lines(rule.models)]
        self._kind = rule.kind
        self._known: dict[str, tuple[str, str] | None] = {}

    def __call__(self, name: str) -> tuple[str, str] | None:
        """The model and kind of a run with this name."""
        if name not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[name] = self._decided(name)
        return self._known[name]

    def _decided(self, name: str) -> tuple[str, str] | None:
        if not self._lines:
            return name, self._kind
        for line in self._lines:
            matched = match(line.pattern, name)
            if matched is not None:
                if line.model == LEAVE_OUT:
                    return None
                model = clean(_PLACE.sub(partial(_part, matched), line.model), MAX_TEXT)
                return (model or name), (line.kind or self._kind)
        return None


def _part(matched: list[str], place: re.Match) -> str:
    number = int(place[1])
    return matched[number - 1] if number <= len(matched) else ""


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise RuleInvalid("models", f"There are more than {MOST_LINES} lines.")
    return lines


def _model_line(line: str) -> ModelLine:
    pattern, equals, model = (part.strip() for part in line.partition("="))
    kind = ""
    if has_kind := _KIND.match(model):
        model, kind = has_kind.groups()
    if not (equals and pattern and model) or len(line) > 2 * MAX_TEXT:
        raise RuleInvalid("models", f"“{clean(line, 60)}” is not of the form PATTERN = MODEL.")
    if kind and kind not in Run.Kind.values:
        raise RuleInvalid("models", f"“{clean(kind, 60)}” is not a kind: {', '.join(Run.Kind.values)}.")
    return ModelLine(pattern, model, kind)


def match(pattern: str, name: str) -> list[str] | None:
    """The texts that the pattern's stars stand for, or None; in time linear in the name's length."""
    first, *rest = pattern.split("*")
    if not rest:
        return [] if name == first else None
    if not name.startswith(first):
        return None
    *middle, last = rest
    at, found = len(first), []
    end = len(name) - len(last)
    for literal in middle:
        place = name.find(literal, at, end) if literal else at
        if place < 0:
            return None
        found.append(name[at:place])
        at = place + len(literal)
    if end < at or not name.endswith(last):
        return None
    return [*found, name[at:end]]


@dataclass
class Owners:
    """Whose a run is, by the user name that its tool recorded: only members of the project's team."""

    project: Project
    rule: Rule
    #: Whose runs without a user name are.
    otherwise: int
    unknown: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        by_email = dict(Membership.objects.filter(team=self.project.team_id).values_list("user__email", "user_id"))
        self._ids: dict[str, int | None] = {}
        for email, pk in by_email.items():
            login = email.partition("@")[0].lower()
            self._ids[login] = None if login in self._ids else pk  # of two people with one name it is neither
        self._ids |= by_email
        for login, email in pairs("members", self.rule.members).items():
            self._ids[login] = by_email.get(email.lower())

    def __call__(self, user: str) -> int:
        """The person's id; Run.OF_NOBODY, and counted, for people who are not in the team."""
        if not user:
            return self.otherwise
        found = self._ids.get(user.lower())
        if found is None:
            self.unknown[user] = self.unknown.get(user, 0) + 1
        return found or Run.OF_NOBODY
