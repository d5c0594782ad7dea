"""Surveys: many starts, the minima they lead to, and what that says about the landscape."""

from descentlab.survey.minima import Minimum
from descentlab.survey.survey import Survey, survey

__all__ = ["Minimum", "Survey", "survey"]
