"""Results for people and for programs: the main job, its HTML report, and any result as plain data."""

from descentlab.report.data import as_data
from descentlab.report.explore import Exploration, explore

__all__ = ["Exploration", "as_data", "explore"]
