"""Studies: many runs by one plan, and how their models are published."""

from winninghand.studies.executors import EXECUTORS, Done, Executor, Failed, Task
from winninghand.studies.failures import RunsFailedError
from winninghand.studies.graph import Plan, planned, run_specs
from winninghand.studies.publish import Publisher
from winninghand.studies.run_spec import RunSpec
from winninghand.studies.run_study import run_study
from winninghand.studies.study import Study, load_study

__all__ = [
    "EXECUTORS",
    "Done",
    "Executor",
    "Failed",
    "Plan",
    "Publisher",
    "RunSpec",
    "RunsFailedError",
    "Study",
    "Task",
    "load_study",
    "planned",
    "run_specs",
    "run_study",
]
