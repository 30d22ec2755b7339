"""Thresholds on domains without labels: how far the realised FAR is from the target, and how often the alarm fires.

CLINC150: calibrated on the intents of five domains, applied to the other five. Glyphs: calibrated on Latin, applied to
each other script, with the principal components of the demo. Everything goes through evenmatch's own functions.

    python studies/transfer/transfer.py                 all of it, about half an hour on two cores
    python studies/transfer/transfer.py --part clinc --splits 5 --out /tmp/try
    python studies/transfer/transfer.py --redraw        the table of the raw results that are there
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import platform
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from tables import results

import evenmatch as em
from evenmatch.calibration import (
    MatchShare,
    share_from_curves,
    share_from_neighbours,
    transfer_counts,
)
from evenmatch.measures import rates_at
from evenmatch.pairs import count_pairs, count_unlabeled

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVENMATCH_DATA", HERE.parents[2] / "shared" / "data")) / "clinc150_minilm.npz"
TARGETS = (1e-1, 1e-2, 1e-3)
SIDE = 3000
COMPONENTS = 64
PARTS = ("clinc", "clinc_fresh", "same_kind", "glyphs", "drift", "clinc_all")
Row = dict[str, object]


def transfer_rows(source: em.EmbeddingSet, target: em.EmbeddingSet, seed: int) -> list[Row]:
    """One row a target FAR and method."""
    truth = count_pairs(target, far=())
    share = truth.n_positives / (truth.n_positives + truth.n_negatives)
    rows: list[Row] = []
    shares: dict[str, MatchShare] = {}
    counts = None
    for far in TARGETS:
        point = em.calibrate(source, far=far, probability=None)
        if point.curves is None:
            raise SystemExit("the calibration data do not suffice for curves")
        if counts is None:
            counts = count_unlabeled(target, thresholds=point.curves.level_thresholds)
            first = share_from_curves(point.curves, counts)
            shares = {
                "uncorrected": MatchShare(0.0, 0.0, 1.0),
                "curves": first,
                "neighbours": share_from_neighbours(source, target, "cosine", first.value, seed),
                "true share": MatchShare(share, 0.0, 1.0),
            }
        rows.append(_row(far, "untouched", rates_at(truth, point.threshold)[0], share))
        for method, found in shares.items():
            result = transfer_counts(point, counts, found, method, target)
            realised = rates_at(truth, result.threshold)[0]
            row = _row(far, method, realised, share)
            row |= {
                "far_low": f"{result.far_ci[0]:.6g}", "far_high": f"{result.far_ci[1]:.6g}",
                "positives": f"{result.positives:.6g}", "positives_low": f"{result.positives_ci[0]:.6g}",
                "positives_high": f"{result.positives_ci[1]:.6g}", "thin": len(result.thin),
            }  # fmt: skip
            rows.append(row)
    return rows


def _row(far: float, method: str, realised: float, share: float) -> Row:
    return {"target": f"{far:g}", "method": method, "realised": f"{realised:.8g}", "true_positives": f"{share:.6g}"}


def drift_row(source: em.EmbeddingSet, target: em.EmbeddingSet) -> Row:
    """The p value, and what the shift does to the FAR."""
    point = em.calibrate(source, far=1e-2, probability=None)
    found = em.drift(point, target)
    realised = rates_at(count_pairs(target, far=()), point.threshold)[0]
    return {"p": f"{found.p_value:.6g}", "realised": f"{realised:.6g}"}


def clinc() -> em.EmbeddingSet:
    """The data, domains as groups."""
    return em.load(DATA)


def sample(rng: np.random.Generator, rows: np.ndarray, size: int) -> np.ndarray:
    """Some of the rows, or all where ``size`` is 0."""
    return rows if not size else rng.choice(rows, min(size, rows.size), replace=False)


def domain_splits(
    data: em.EmbeddingSet, splits: int, seed: int = 0, skip: int = 0
) -> Iterator[tuple[np.random.Generator, np.ndarray]]:
    """Five domains of ten, no choice twice."""
    rng = np.random.default_rng(seed)
    choices = list(itertools.combinations(range(10), 5))
    for number in rng.permutation(len(choices))[skip : skip + splits]:
        yield rng, np.isin(data.group_codes, choices[number])


def run_clinc(splits: int, size: int, skip: int = 0) -> list[Row]:
    """Five domains against the other five; with ``skip``, other choices of the five than the first ones."""
    data = clinc()
    rows: list[Row] = []
    for split, (rng, chosen) in enumerate(domain_splits(data, splits, skip=skip)):
        source = data.subset(sample(rng, np.flatnonzero(chosen), size))
        target = data.subset(sample(rng, np.flatnonzero(~chosen), size))
        case = {
            "data": "clinc150",
            "case": "domains, fresh" if skip else "domains",
            "size": size or "all",
            "split": skip + split,
        }
        rows += [case | row for row in transfer_rows(source, target, skip + split)]
        print(f"clinc150 {size or 'all'}: {split + 1} of {splits}", end="\r", flush=True)
    return rows


def run_same_kind(splits: int) -> list[Row]:
    """Half of the intents against the other half: no shift, so that the intervals must hold."""
    data = clinc()
    rng = np.random.default_rng(2)
    rows: list[Row] = []
    for split in range(splits):
        chosen = np.isin(data.codes, rng.permutation(150)[:75])
        source = data.subset(sample(rng, np.flatnonzero(chosen), SIDE))
        target = data.subset(sample(rng, np.flatnonzero(~chosen), SIDE))
        case = {"data": "clinc150", "case": "no shift", "size": SIDE, "split": split}
        rows += [case | row for row in transfer_rows(source, target, split)]
        print(f"no shift: {split + 1} of {splits}", end="\r", flush=True)
    return rows


def glyph_sets(seed: int) -> tuple[em.EmbeddingSet, dict[str, em.EmbeddingSet]]:
    """Latin and each other script, in principal components of Latin pixels."""
    from sklearn.decomposition import PCA

    train, test = em.datasets.glyphs("train", seed=seed), em.datasets.glyphs("test", seed=seed)
    pixels = [each.images.reshape(len(each), -1).astype(np.float32) / 255 for each in (train, test)]
    model = PCA(COMPONENTS, svd_solver="randomized", random_state=seed).fit(pixels[0])
    latin = em.EmbeddingSet.from_arrays(model.transform(pixels[0]).astype(np.float32), train.labels)
    other = em.EmbeddingSet.from_arrays(model.transform(pixels[1]).astype(np.float32), test.labels)
    return latin, {str(name): other.subset(test.groups == name) for name in np.unique(test.groups)}


def run_glyphs(seeds: int) -> list[Row]:
    """Latin against each other script."""
    rows: list[Row] = []
    for seed in range(seeds):
        latin, scripts = glyph_sets(seed)
        for name, target in scripts.items():
            case = {"data": "glyphs", "case": name, "size": target.n, "split": seed}
            rows += [case | row for row in transfer_rows(latin, target, seed)]
        print(f"glyphs: {seed + 1} of {seeds}", end="\r", flush=True)
    return rows


def run_drift(splits: int, shifted: int, seeds: int) -> list[Row]:
    """The alarm with and without a shift, on splits that played no part in how it was made (those had seed 1)."""
    data = clinc()
    rng = np.random.default_rng(11)
    rows: list[Row] = []

    def add(name: str, kind: str, source: em.EmbeddingSet, target: em.EmbeddingSet) -> None:
        rows.append({"data": name, "case": kind, "split": len(rows), **drift_row(source, target)})
        print(f"drift: {len(rows)}", end="\r", flush=True)

    def two(first: np.ndarray, second: np.ndarray) -> tuple[em.EmbeddingSet, em.EmbeddingSet]:
        return data.subset(sample(rng, first, SIDE)), data.subset(sample(rng, second, SIDE))

    for _ in range(splits):
        chosen = np.isin(data.codes, rng.permutation(150)[:75])
        add("clinc150", "other intents", *two(np.flatnonzero(chosen), np.flatnonzero(~chosen)))
    for _ in range(splits):
        some = rng.permutation(150)
        fit, new = np.isin(data.codes, some[:75]), np.isin(data.codes, some[75:100])
        add("clinc150", "fewer other intents", *two(np.flatnonzero(fit), np.flatnonzero(new)))
    for _ in range(splits // 2):
        mixed = rng.permutation(np.flatnonzero(np.isin(data.codes, rng.permutation(150)[:75])))
        add("clinc150", "same intents", *two(mixed[:SIDE], mixed[SIDE : 2 * SIDE]))
    for _, chosen in domain_splits(data, shifted, 1):
        add("clinc150", "other domains", *two(np.flatnonzero(chosen), np.flatnonzero(~chosen)))
    for seed in range(seeds):
        latin, scripts = glyph_sets(seed)
        for _ in range(splits // seeds):
            chosen = np.isin(latin.codes, rng.permutation(500)[:250])
            add("glyphs", "other Latin characters", latin.subset(chosen), latin.subset(~chosen))
        for name, target in scripts.items():
            add("glyphs", name, latin, target)
    return rows


def write_csv(path: Path, rows: list[Row]) -> None:
    """Raw results, one row each."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Run the parts that are asked for and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--splits", type=int, default=60)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--redraw", action="store_true", help="only the table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = {
        "clinc": lambda: run_clinc(options.splits, SIDE),
        "clinc_fresh": lambda: run_clinc(options.splits, SIDE, skip=60),
        "same_kind": lambda: run_same_kind(options.splits),
        "glyphs": lambda: run_glyphs(5),
        "drift": lambda: run_drift(2 * options.splits, options.splits, 5),
        "clinc_all": lambda: run_clinc(max(options.splits // 3, 1), 0),
    }
    for name, run in parts.items():
        if not options.redraw and options.part in (name, "all"):
            write_csv(options.out / f"{name}.csv", run())
    where = (
        f"evenmatch {em.__version__}, numpy {np.__version__}, {os.cpu_count()} cores {platform.machine()}, no GPU, "
        f"{date.today().isoformat()}."
    )
    text = results(options.out, list(parts), where)
    (options.out / "transfer.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
