"""What staff can manage in the Django admin; samples and counters are not editable."""

from runs.admin import catalogue as care  # noqa: F401 (the catalogue's admin)
from runs.admin import jobs, people, teams  # noqa: F401 (each registers its models)
