"""Who registers what in the Django admin:

* `people`: people, their addresses, second factors, sessions, groups
* `teams`: teams, projects, API tokens, runs, the audit log
* `profiles`: hardware profiles and cloud machine types
* `in_force`: emission factors and PUE
* `unknown_devices`: devices that are not in the catalogue
* `jobs`: background jobs and recalculations

Samples and counters can't be edited.
"""

from runs.admin import in_force, jobs, people, profiles, teams, unknown_devices  # noqa: F401 (each registers its models)
