"""A threshold with its evidence, scores as probabilities, and what a shipped point does on new data."""

from evenmatch.calibration._check import PointCheck, check_point
from evenmatch.calibration._curves import LEVELS, ScoreCurves, score_curves
from evenmatch.calibration._decide import Matches
from evenmatch.calibration._drift import DriftCheck, drift_counts
from evenmatch.calibration._fit import calibrate_counts, check_guarantee
from evenmatch.calibration._judge import (
    ProbabilityJudgement,
    judge_by_class,
    judge_by_group,
    judge_probability,
    judging_thresholds,
)
from evenmatch.calibration._objective import Objective, choose_objective, choose_threshold
from evenmatch.calibration._origin import Origin
from evenmatch.calibration._point import CalibrationData, OperatingPoint
from evenmatch.calibration._probability import METHODS, ScoreCalibrator, fit_probability
from evenmatch.calibration._share import MatchShare, share_from_curves, share_from_neighbours
from evenmatch.calibration._text import point_rows
from evenmatch.calibration._transfer import FEWEST_SAMPLES, Transfer, curves_of, transfer_counts, transfer_target

__all__ = [
    "FEWEST_SAMPLES",
    "LEVELS",
    "METHODS",
    "CalibrationData",
    "DriftCheck",
    "MatchShare",
    "Matches",
    "Objective",
    "OperatingPoint",
    "Origin",
    "PointCheck",
    "ProbabilityJudgement",
    "ScoreCalibrator",
    "ScoreCurves",
    "Transfer",
    "calibrate_counts",
    "check_guarantee",
    "check_point",
    "choose_objective",
    "choose_threshold",
    "curves_of",
    "drift_counts",
    "fit_probability",
    "judge_by_class",
    "judge_by_group",
    "judge_probability",
    "judging_thresholds",
    "point_rows",
    "score_curves",
    "share_from_curves",
    "share_from_neighbours",
    "transfer_counts",
    "transfer_target",
]
