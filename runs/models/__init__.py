"""The tables of runs and emissions, one module per noun."""

from runs.models.arrival import Arrival
from runs.models.audit import AuditEntry
from runs.models.batch import Batch
from runs.models.deleted_run import DeletedRun
from runs.models.device import Device
from runs.models.direction import MetricDirection
from runs.models.factor import EmissionFactor
from runs.models.imports import Import, ImportPart, ImportStep
from runs.models.invitation import Invitation
from runs.models.metric import Metric
from runs.models.ownership import OwnershipOffer
from runs.models.project import Project
from runs.models.pue import Pue
from runs.models.reestimation import Correction, Reestimation, RunRevision
from runs.models.refusal import Refusal
from runs.models.remembered import Remembered
from runs.models.run import Run
from runs.models.run_curve import RunCurve
from runs.models.run_sums import RunSums
from runs.models.saved_view import SavedView
from runs.models.share import Badge, ShareLink
from runs.models.stage import Call, Stage
from runs.models.team import Membership, Team
from runs.models.token import ApiToken
from runs.models.tracked_model import TrackedModel
from runs.models.trashed import Trashed
from runs.models.usage import DailyUsage, MonthlyUsage, ProjectUsage, RunUsage, TaggedUsage
from runs.models.user import User
from runs.models.writer import Writer
from runs.rights import Right, Role

__all__ = [
    "ApiToken",
    "Arrival",
    "AuditEntry",
    "Badge",
    "Batch",
    "Call",
    "Correction",
    "DailyUsage",
    "DeletedRun",
    "Device",
    "EmissionFactor",
    "Import",
    "ImportPart",
    "ImportStep",
    "Invitation",
    "Membership",
    "Metric",
    "MetricDirection",
    "MonthlyUsage",
    "OwnershipOffer",
    "Project",
    "ProjectUsage",
    "Pue",
    "Reestimation",
    "Refusal",
    "Remembered",
    "Right",
    "Role",
    "Run",
    "RunCurve",
    "RunRevision",
    "RunSums",
    "RunUsage",
    "SavedView",
    "ShareLink",
    "Stage",
    "TaggedUsage",
    "Team",
    "TrackedModel",
    "Trashed",
    "User",
    "Writer",
]
