"""The runs as the dashboard shows them: filtered, sorted and grouped in memory, and kept up to date."""

from whirr.runtable.table import RunTable
from whirr.runtable.views import TablePage, TableQuery

__all__ = ["RunTable", "TablePage", "TableQuery"]
