"""The tables of runs and emissions, a module a noun."""

from runs.models.batch import Batch
from runs.models.device import Device
from runs.models.factor import EmissionFactor
from runs.models.project import Project
from runs.models.run import Run, Writer
from runs.models.saved_view import SavedView
from runs.models.stage import Call, Stage
from runs.models.team import Membership, Team
from runs.models.token import ApiToken
from runs.models.tracked_model import TrackedModel
from runs.models.usage import DailyUsage
from runs.models.user import User

__all__ = [
    "ApiToken",
    "Batch",
    "Call",
    "DailyUsage",
    "Device",
    "EmissionFactor",
    "Membership",
    "Project",
    "Run",
    "SavedView",
    "Stage",
    "Team",
    "TrackedModel",
    "User",
    "Writer",
]
