"""Surveys: many starts, the minima they lead to, and what that says about the landscape."""

from descentlab.survey.minima import Minimum
from descentlab.survey.result import Survey
from descentlab.survey.survey import survey
from descentlab.survey.watch import Snapshot

__all__ = ["Minimum", "Snapshot", "Survey", "survey"]
