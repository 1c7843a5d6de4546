"""The report of a study: figures with a table each, as one page, as CSV, as LaTeX and as Markdown."""

from winninghand.report.study_page.figure import Figure
from winninghand.report.study_page.page import write_page
from winninghand.report.study_page.report import Report

__all__ = ["Figure", "Report", "write_page"]
