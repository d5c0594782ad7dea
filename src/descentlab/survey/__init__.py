"""Surveys: many starts, the minima they lead to, and what that says about the landscape."""

from descentlab.survey.basin_results import BasinMap, BasinStrip
from descentlab.survey.basins import basin_map, basin_strip
from descentlab.survey.minima import Minimum
from descentlab.survey.result import Survey
from descentlab.survey.survey import survey
from descentlab.survey.watch import Snapshot

__all__ = ["BasinMap", "BasinStrip", "Minimum", "Snapshot", "Survey", "basin_map", "basin_strip", "survey"]
