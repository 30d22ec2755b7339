"""What the counts mean: pure functions on counts, and the frozen results that they fill."""

from evenmatch.measures._class_rates import ClassRate, InsufficientCountsError, class_rates, class_rates_at
from evenmatch.measures._consistency import Consistency, calibration_range, check_arguments, consistency
from evenmatch.measures._debiased import DebiasedOpis, debiased_opis
from evenmatch.measures._differentials import Differential, GroupDifferentials, differential, group_differentials
from evenmatch.measures._estimate import SamplingError
from evenmatch.measures._gaps import OwnThresholds, RateGaps, own_thresholds, rate_gaps
from evenmatch.measures._pair_list import (
    FoldAccuracy,
    PairRates,
    fold_accuracy,
    pair_rates,
    rates_by_unit,
    threshold_for_far,
)
from evenmatch.measures._pareto import pareto_front
from evenmatch.measures._rates import (
    Admissible,
    Curve,
    equal_error_rate,
    error_curve,
    rates_at,
    tar_at_far,
    threshold_at_far,
)
from evenmatch.measures._retrieval import map_at_r, recall_at_1, recall_at_k
from evenmatch.measures._rounding import rounding_bars, threshold_bar
from evenmatch.measures._sampling_noise import SamplingNoise, noise_thresholds, sampling_noise
from evenmatch.measures._tables import class_table, group_table, touching_pairs
from evenmatch.measures._uncertainty import bca_intervals, class_intervals, paired_intervals
from evenmatch.measures._utility import utility

__all__ = [
    "Admissible",
    "ClassRate",
    "Consistency",
    "Curve",
    "DebiasedOpis",
    "Differential",
    "FoldAccuracy",
    "GroupDifferentials",
    "InsufficientCountsError",
    "OwnThresholds",
    "PairRates",
    "RateGaps",
    "SamplingError",
    "SamplingNoise",
    "bca_intervals",
    "calibration_range",
    "check_arguments",
    "class_intervals",
    "class_rates",
    "class_rates_at",
    "class_table",
    "consistency",
    "debiased_opis",
    "differential",
    "equal_error_rate",
    "error_curve",
    "fold_accuracy",
    "group_differentials",
    "group_table",
    "map_at_r",
    "noise_thresholds",
    "own_thresholds",
    "pair_rates",
    "paired_intervals",
    "pareto_front",
    "rate_gaps",
    "rates_at",
    "rates_by_unit",
    "recall_at_1",
    "recall_at_k",
    "rounding_bars",
    "sampling_noise",
    "tar_at_far",
    "threshold_at_far",
    "threshold_bar",
    "threshold_for_far",
    "touching_pairs",
    "utility",
]
