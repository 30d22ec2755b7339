"""A threshold with its evidence, scores as probabilities, and what a shipped point does on new data."""

from evenmatch.calibration._check import PointCheck, check_point
from evenmatch.calibration._decide import Matches
from evenmatch.calibration._fit import calibrate_counts, check_guarantee
from evenmatch.calibration._judge import (
    ProbabilityJudgement,
    judge_by_class,
    judge_by_group,
    judge_probability,
    judging_thresholds,
)
from evenmatch.calibration._objective import Objective, choose_objective, choose_threshold
from evenmatch.calibration._point import CalibrationData, OperatingPoint
from evenmatch.calibration._probability import METHODS, ScoreCalibrator, fit_probability
from evenmatch.calibration._text import point_rows

__all__ = [
    "METHODS",
    "CalibrationData",
    "Matches",
    "Objective",
    "OperatingPoint",
    "PointCheck",
    "ProbabilityJudgement",
    "ScoreCalibrator",
    "calibrate_counts",
    "check_guarantee",
    "check_point",
    "choose_objective",
    "choose_threshold",
    "fit_probability",
    "judge_by_class",
    "judge_by_group",
    "judge_probability",
    "judging_thresholds",
    "point_rows",
]
