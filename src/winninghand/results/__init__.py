"""What was measured, as a data set of rows and as claims; what reports, the zoo and claims are made from."""

from winninghand.results.data_set import Results, ResultsWriter, Rows
from winninghand.results.rows import checked_rows_path, write_rows
from winninghand.results.runs import About, CellResult, RunResult, by_choice, check_same_corruptions
from winninghand.results.zoo import Figures, OverSeeds, ZooRecord, zoo_records

__all__ = [
    "About",
    "CellResult",
    "Figures",
    "OverSeeds",
    "Results",
    "ResultsWriter",
    "Rows",
    "RunResult",
    "ZooRecord",
    "by_choice",
    "check_same_corruptions",
    "checked_rows_path",
    "write_rows",
    "zoo_records",
]
