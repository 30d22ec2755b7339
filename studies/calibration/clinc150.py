"""How often intervals and guarantees hold on intents that the threshold has never seen: CLINC150, split by class.

Every split draws half of the 150 intents to calibrate on; the other half is the deployment. Pairs lie within a half.
All pairs of intents are counted once at every threshold of the grid; each split then takes its own of these counts,
so that its numbers are exactly those of a pass over its samples, and goes through evenmatch's own functions.

    python studies/calibration/clinc150.py            400 splits, about 15 minutes on one core
    python studies/calibration/clinc150.py --splits 20 --out /tmp/try
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from scipy.stats import norm
from tables import describe_run, markdown, share_with_error, write_csv

from evenmatch.calibration import (
    METHODS,
    CalibrationData,
    Objective,
    calibrate_counts,
    fit_probability,
    judge_by_class,
    judge_by_group,
    judge_probability,
)
from evenmatch.errors import UnreachableTargetError
from evenmatch.measures import rates_at
from evenmatch.pairs import GroupCounts, PairCounts, ScoreGrid

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVENMATCH_DATA", HERE.parents[2] / "shared" / "data")) / "clinc150_minilm.npz"
GRID = ScoreGrid.cosine()
FIRST = GRID.index_at_or_above(-0.5)  # no score of this model is lower; checked below
TARGETS = (1e-1, 1e-2, 1e-3)
CONFIDENCE = 0.95
DATA_FACTS = CalibrationData("clinc150_minilm", 0, None, 384, 0, 0, 0, "")


class Intents:
    """Accepted pairs of every two intents, and within each, at every grid threshold from ``FIRST`` on."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            vectors, labels, groups = file["embeddings"].astype(np.float32), file["labels"], file["groups"]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.names, codes = np.unique(labels, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        vectors = vectors[order]
        self.k, self.each = len(self.names), len(codes) // len(self.names)
        if not (np.bincount(codes) == self.each).all():
            raise SystemExit("the intents differ in size; this script takes equal ones")
        self.domains, self.domain = np.unique(groups[order][:: self.each], return_inverse=True)
        bins = GRID.size - FIRST
        self.pair = np.full((self.k, self.k), -1)
        upper = np.triu_indices(self.k, 1)
        self.pair[upper] = np.arange(len(upper[0]))
        self.pair = np.maximum(self.pair, self.pair.T)
        self.across = np.zeros((len(upper[0]), bins), np.uint16)  # at most 150 × 150 = 22,500 pairs
        self.within = np.zeros((self.k, bins), np.int64)
        inner = np.triu_indices(self.each, 1)
        for i in range(self.k):
            scores = vectors[i * self.each : (i + 1) * self.each] @ vectors[i * self.each :].T
            found = np.floor((scores - GRID.low) / GRID.step).astype(np.int64) - FIRST
            if found.min() < 0:
                raise SystemExit("a score is lower than the table begins")
            np.minimum(found, bins - 1, out=found)
            self.within[i] = _accepted(np.bincount(found[:, : self.each][inner], minlength=bins))
            for j in range(i + 1, self.k):
                block = found[:, (j - i) * self.each : (j - i + 1) * self.each]
                self.across[self.pair[i, j]] = _accepted(np.bincount(block.ravel(), minlength=bins))

    def counts(self, members: np.ndarray, columns: np.ndarray) -> PairCounts:
        """Counts of the pairs among some intents, the classes at the given grid indices."""
        k, samples = len(members), len(members) * self.each
        pairs = self.pair[np.ix_(members, members)]
        inner = pairs[np.triu_indices(k, 1)]
        pooled_negatives = _histogram(self.across[inner].sum(axis=0, dtype=np.int64))
        pooled_positives = _histogram(self.within[members].sum(axis=0))
        at = columns - FIRST
        table = np.zeros((len(self.across) + 1, len(at)), np.int64)
        table[:-1][inner] = self.across[np.ix_(inner, at)]
        by_pair = table[pairs]  # the last row, of zeros, stands on the diagonal
        own = self.within[np.ix_(members, at)]
        genuine = self.each * (self.each - 1) // 2
        empty = np.empty(0, np.float32)
        domain = np.eye(len(self.domains), dtype=np.int64)[self.domain[members]]
        sizes = domain.sum(axis=0)
        cells = np.outer(sizes, sizes) * self.each**2
        np.fill_diagonal(cells, sizes * (sizes - 1) // 2 * self.each**2)
        accepted = np.einsum("ig,ijt,jh->ght", domain, by_pair, domain, optimize=True)
        diagonal = np.arange(len(sizes))
        accepted[diagonal, diagonal] //= 2
        positives_accepted = np.zeros_like(accepted)
        positives_accepted[diagonal, diagonal] = domain.T @ own
        return PairCounts(
            grid=GRID,
            classes=self.names[members],
            thresholds=GRID.threshold(columns),
            positives=np.full(k, genuine),
            negatives=np.full(k, (k - 1) * self.each**2),
            positives_accepted=own,
            negatives_accepted=by_pair.sum(axis=1),
            pooled_positives=pooled_positives,
            pooled_negatives=pooled_negatives,
            best_positive=empty,
            best_negative=empty,
            codes=np.repeat(np.arange(k), self.each)[:samples],
            groups=GroupCounts(
                self.domains, np.diag(sizes * genuine), cells, positives_accepted, accepted, sizes * self.each, False
            ),
        )


def _accepted(histogram: np.ndarray) -> np.ndarray:
    return np.cumsum(histogram[::-1])[::-1]


def _histogram(accepted: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(FIRST, np.int64), -np.diff(np.append(accepted, 0))])


def columns_around(far: np.ndarray, target: float) -> np.ndarray:
    """Grid indices as `em.calibrate` counts the classes at: the target's own, and 256 from FAR 0.1 to a 20th of it."""
    ends = [int(np.argmax(far <= rate)) for rate in (max(target, 0.1), target / 20)]
    return np.unique([*np.linspace(*ends, 256).astype(int), int(np.argmax(far <= target))])


def binomial(rate: float, pairs: int, new_pairs: int) -> tuple[float, float]:
    """Prediction interval as if all pairs were independent."""
    reach = norm.ppf(0.5 + CONFIDENCE / 2) * np.sqrt(rate * (1 - rate) * (1 / pairs + 1 / new_pairs))
    return rate - reach, rate + reach


def split_rows(intents: Intents, split: int, fit: np.ndarray, test: np.ndarray) -> list[dict[str, object]]:
    """One row a target and guarantee."""
    rows = []
    nothing = np.array([GRID.size - 1])
    deployed = intents.counts(test, nothing)
    pooled = intents.counts(fit, nothing)
    far = pooled.accepted_negatives / pooled.n_negatives
    for target in TARGETS:
        counts = intents.counts(fit, columns_around(far, target))
        for guarantee in ("mean", "upper"):
            row: dict[str, object] = {
                "split": split, "fit": len(fit), "test": len(test), "target": target, "guarantee": guarantee,
            }  # fmt: skip
            try:
                point = calibrate_counts(
                    counts, Objective("far", target), DATA_FACTS, confidence=CONFIDENCE, guarantee=guarantee,
                    n_classes=len(test) if guarantee == "upper" else None,
                )  # fmt: skip
            except UnreachableTargetError:
                rows.append({**row, "threshold": "refused"})
                continue
            real_far, real_frr = rates_at(deployed, point.threshold)
            row |= {"threshold": f"{point.threshold:.6f}"}
            for name, value, real, interval, total, new in (
                ("far", point.far, real_far, point.far_interval(len(test)), counts.n_negatives, deployed.n_negatives),
                ("frr", point.frr, real_frr, point.frr_interval(len(test)), counts.n_positives, deployed.n_positives),
            ):
                pairwise = binomial(value, total, new)
                row |= {
                    name: f"{value:.8g}", f"{name}_low": f"{interval[0]:.6g}", f"{name}_high": f"{interval[1]:.6g}",
                    f"{name}_binomial_low": f"{pairwise[0]:.6g}", f"{name}_binomial_high": f"{pairwise[1]:.6g}",
                    f"{name}_deployed": f"{real:.8g}",
                }  # fmt: skip
            rows.append(row)
    return rows


def probability_rows(intents: Intents, split: int, fit: np.ndarray, test: np.ndarray) -> list[dict[str, object]]:
    """One row a method and prior, judged on the unseen intents."""
    columns = np.arange(FIRST, GRID.size - 1, 200)
    fitted, unseen = intents.counts(fit, columns[:1]), intents.counts(test, columns)
    rows = []
    for method in METHODS:
        for prior_name, prior in (("natural", None), ("balanced", 0.5)):
            calibrator = fit_probability(fitted, method, prior)
            if prior is None:  # the share of matches among the unseen pairs, by Bayes
                share = unseen.n_positives / (unseen.n_positives + unseen.n_negatives)
                calibrator = calibrator.with_prior(share)
            judged = judge_probability(calibrator, unseen)
            classes, domains = judge_by_class(calibrator, unseen).ece, judge_by_group(calibrator, unseen).ece
            rows.append(
                {
                    "split": split, "method": method, "prior": prior_name, "ece": f"{judged.ece:.6f}",
                    "brier": f"{judged.brier:.6f}", "log_loss": f"{judged.log_loss:.6f}",
                    "class_ece_median": f"{classes.median():.6f}", "class_ece_worst": f"{classes.max():.6f}",
                    "domain_ece_worst": f"{domains.max():.6f}",
                }
            )  # fmt: skip
    return rows


def coverage_table(rows: list[dict[str, object]]) -> str:
    """Shares of splits, with binomial standard errors of the share."""
    lines = []
    groups = sorted({(int(str(r["fit"])), int(str(r["test"])), float(str(r["target"]))) for r in rows}, reverse=True)
    groups.sort(key=lambda g: (abs(g[0] - g[1]), -g[0], -g[2]))
    for fit, test, target in groups:
        chosen = [r for r in rows if (r["fit"], r["test"], r["target"]) == (fit, test, target)]
        mean = [r for r in chosen if r["guarantee"] == "mean"]
        upper = [r for r in chosen if r["guarantee"] == "upper" and r["threshold"] != "refused"]
        refused = sum(r["threshold"] == "refused" for r in chosen)

        def inside(found: list[dict[str, object]], name: str, kind: str = "") -> list[bool]:
            return [
                float(str(r[f"{name}{kind}_low"])) <= float(str(r[f"{name}_deployed"]))
                <= float(str(r[f"{name}{kind}_high"])) for r in found
            ]  # fmt: skip

        def kept(found: list[dict[str, object]], target: float = target) -> list[bool]:
            return [float(str(r["far_deployed"])) <= target for r in found]

        lines.append(
            [
                f"{fit} / {test}", f"{target:g}",
                *(share_with_error(inside(mean, name, kind))
                  for name in ("far", "frr") for kind in ("", "_binomial")),
                share_with_error(kept(mean)), share_with_error(kept(upper)) if upper else "–", str(refused),
            ]
        )  # fmt: skip
    heads = [
        "intents fit / unseen", "FAR target", "FAR in interval", "FAR in binomial", "FRR in interval",
        "FRR in binomial", "plain quantile keeps target", "`upper` keeps target", "`upper` refused",
    ]  # fmt: skip
    return markdown(heads, lines)


def probability_table(rows: list[dict[str, object]]) -> str:
    """Medians over splits, and the 5th and 95th percentile of the ECE."""
    lines = []
    for prior in ("natural", "balanced"):
        for method in METHODS:
            chosen = [r for r in rows if (r["method"], r["prior"]) == (method, prior)]
            ece = np.array([float(str(r["ece"])) for r in chosen])
            rest = [
                f"{np.median([float(str(r[name])) for r in chosen]):.4f}"
                for name in ("brier", "log_loss", "class_ece_median", "class_ece_worst", "domain_ece_worst")
            ]
            low, high = np.quantile(ece, [0.05, 0.95])
            lines.append([prior, method, f"{np.median(ece):.4f} ({low:.4f} … {high:.4f})", *rest])
    heads = [
        "match prior", "method", "ECE (5% … 95% of splits)", "Brier", "log-loss", "ECE of the median intent",
        "of the worst intent", "of the worst domain",
    ]  # fmt: skip
    return markdown(heads, lines)


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Realised FAR of the unseen intents over the target, against the intervals, for the halves."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(TARGETS), figsize=(10.5, 3.4), layout="constrained", sharey=True)
    for ax, target in zip(axes, TARGETS, strict=True):
        for guarantee, colour in (("mean", "#0072B2"), ("upper", "#009E73")):
            chosen = [
                r for r in rows
                if (r["target"], r["guarantee"]) == (target, guarantee) and r["threshold"] != "refused"
                and r["fit"] == r["test"]
            ]  # fmt: skip
            real = np.sort([float(str(r["far_deployed"])) / target for r in chosen])
            if real.size:
                ax.plot(real, (np.arange(real.size) + 1) / real.size, color=colour, lw=1.8, label=f"{guarantee!r}")
        mean = [r for r in rows if (r["target"], r["guarantee"]) == (target, "mean") and r["fit"] == r["test"]]
        for kind, colour, name in (("", "#E69F00", "interval (median)"), ("_binomial", "#D55E00", "binomial (median)")):
            low, high = (
                np.median([float(str(r[f"far{kind}_{end}"])) for r in mean]) / target for end in ("low", "high")
            )
            ax.axvspan(low, max(high, low * 1.004), color=colour, alpha=0.25 if not kind else 0.9, lw=0, label=name)
        ax.axvline(1, color="#444444", lw=0.8, ls=":")
        ax.set_xscale("log")
        ax.set_xticks([0.25, 0.5, 1, 2, 4], labels=["¼", "½", "1", "2", "4"])
        ax.minorticks_off()
        ax.set_xlim(0.2, 5)
        ax.set_title(f"FAR target {target:g}", fontsize=10)
        ax.set_xlabel("FAR on unseen intents / target")
    axes[0].set_ylabel("share of splits")
    axes[2].legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=130)


def read_csv(path: Path) -> list[dict[str, object]]:
    """Raw results as they were written, with numbers where they are compared."""
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
    for row in rows:
        for name, kind in (("split", int), ("fit", int), ("test", int), ("target", float)):
            if name in row:
                row[name] = kind(str(row[name]))
    return rows


def main() -> None:
    """Run the splits and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=400)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--redraw", action="store_true", help="table and figure of the raw results that are there")
    options = parser.parse_args()
    if options.redraw:
        rows, probabilities = (read_csv(options.out / f"clinc150_{name}.csv") for name in ("splits", "probabilities"))
        before = (options.out / "clinc150.md").read_text(encoding="utf-8").splitlines()[2]
        write_results(options.out, rows, probabilities, before)
        return
    intents = Intents(options.data)
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    probabilities: list[dict[str, object]] = []
    for split in range(options.splits):
        order = rng.permutation(intents.k)
        for fit in (75, 50, 100) if split < options.splits // 2 else (75,):
            rows += split_rows(intents, split, order[:fit], order[fit:])
        if split < 100:
            probabilities += probability_rows(intents, split, order[:75], order[75:])
    options.out.mkdir(parents=True, exist_ok=True)
    write_csv(options.out / "clinc150_splits.csv", rows)
    write_csv(options.out / "clinc150_probabilities.csv", probabilities)
    write_results(options.out, rows, probabilities, describe_run(options.splits, "random splits by intent"))


def write_results(out: Path, rows: list[dict[str, object]], probabilities: list[dict[str, object]], run: str) -> None:
    """Table and figure."""
    draw(rows, out / "clinc150.png")
    splits = len({row["split"] for row in probabilities})
    text = (
        f"# CLINC150: thresholds on intents never seen\n\n{run}\n\n"
        "Shares of splits, ± one standard error of the share. Intervals are nominally 95%, for the rate realised on\n"
        "the unseen intents; `upper` is two-sided 95%, too. \"Binomial\" takes pairs for independent. Unequal parts:\n"
        "the first half of the splits. `upper` is refused where the false accepts left at any threshold that might do\n"
        "rest on too few intents; its share is over the other splits.\n\n"
        f"{coverage_table(rows)}\n\n"
        "![Share of splits whose FAR on unseen intents is at most so many times the target, for three targets]"
        "(clinc150.png)\n\n*CLINC150 in MiniLM embeddings, 22,500 sentences of 150 intents; splits in halves, drawn "
        "with seed 0.*\n\n## Probabilities\n\n"
        f"Fitted on 75 intents, judged on every pair of the other 75; {splits} splits; medians. At the natural prior\n"
        "(0.013) nearly all pairs are easy non-matches, which flatters every method: the balanced prior is the harder\n"
        "test.\n\n"
        f"{probability_table(probabilities)}\n"
    )  # fmt: skip
    (out / "clinc150.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
