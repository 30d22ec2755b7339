"""How often the confidence interval holds the population's own rate, where that is known: simulated classes.

Classes lie in confusable clusters, 10 samples each; classes differ in how widely they scatter. Each trial draws
classes, embeds them, calls `em.calibrate` and asks whether ``far_ci`` and ``frr_ci`` hold the population's FAR and FRR
at the threshold that came out. Those are measured on 20,000 fresh classes.

Populations: "clusters": 20 clusters, and every class belongs to one of them at random; "uneven": the same with clusters
of unequal size; "families": classes come in whole families of 3, each with its own centre, so that classes are not even
independent; "large families": the same with 5.

    python studies/calibration/simulated.py           1,000 trials a row, about 10 minutes on one core
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import norm
from tables import describe_run, markdown, share_with_error, write_csv

import evenmatch as em

HERE = Path(__file__).parent
EACH, DIM, CLUSTERS = 10, 16, 20
FAMILY = {"families": 3, "large families": 5}
ROWS = [
    ("clusters", 50, 1e-2), ("uneven", 50, 1e-2), ("families", 50, 1e-2), ("large families", 50, 1e-2),
    ("clusters", 150, 1e-2), ("large families", 150, 1e-2), ("clusters", 50, 1e-3), ("clusters", 50, 1e-1),
]  # fmt: skip

NOTE = """The jackknife overstates the variance of a statistic of pairs in its second order. That makes the FAR interval
a little too wide where classes are independent or come in threes, and makes up for families of five, whose members it
takes for independent."""


def draw(rng: np.random.Generator, kind: str, k: int, clusters: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Unit vectors of ``k`` classes of a population, ``(k · EACH, DIM)``, class after class."""
    centres, shares = clusters
    if kind in FAMILY:
        family = rng.normal(size=(-(-k // FAMILY[kind]), DIM))[np.arange(k) // FAMILY[kind]]
    else:
        family = centres[rng.choice(len(centres), k, p=shares if kind == "uneven" else None)]
    own = np.sqrt(0.5) * (family + rng.normal(size=(k, DIM)))
    width = 0.6 * rng.gamma(6, 1 / 6, k)
    x = own[:, None, :] + width[:, None, None] * rng.normal(size=(k, EACH, DIM))
    x = x.reshape(k * EACH, DIM)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


class Truth:
    """The population's FAR and FRR at any threshold, from fresh classes."""

    def __init__(self, rng: np.random.Generator, kind: str, k: int, clusters: tuple[np.ndarray, np.ndarray]) -> None:
        # families must be drawn k at a time: the share of pairs within a family depends on k
        size = k if kind in FAMILY else 400
        self.edges = np.linspace(-1.001, 1.001, 4005)
        accepted = [np.zeros(4004), np.zeros(4004)]
        codes = np.repeat(np.arange(size), EACH)
        upper = np.triu(np.ones((codes.size, codes.size), dtype=bool), 1)
        same = codes[:, None] == codes[None, :]
        for _ in range(20_000 // size):
            x = draw(rng, kind, size, clusters)
            bins = ((x @ x.T - self.edges[0]) / (self.edges[1] - self.edges[0])).astype(np.int32)
            for pairs, total in zip((upper & ~same, upper & same), accepted, strict=True):
                total += np.cumsum(np.bincount(bins[pairs], minlength=total.size)[::-1])[::-1]
        self.far, self.tar = (total / total[0] for total in accepted)

    def at(self, threshold: float) -> tuple[float, float]:
        """FAR and FRR."""
        far = np.exp(np.interp(threshold, self.edges[:-1], np.log(np.maximum(self.far, 1e-12))))
        return float(far), float(1 - np.interp(threshold, self.edges[:-1], self.tar))


def main() -> None:
    """Run the trials and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    clusters = (rng.normal(size=(CLUSTERS, DIM)), rng.dirichlet(np.full(CLUSTERS, 2.0)))
    lines, raw = [], []
    for kind, k, target in ROWS:
        truth = Truth(rng, kind, k, clusters)
        held: dict[str, list[bool]] = {name: [] for name in ("far", "frr", "far binomial", "frr binomial")}
        for trial in range(options.trials):
            labels = np.repeat(np.arange(k), EACH)
            point = em.calibrate(draw(rng, kind, k, clusters), labels, far=target, probability=None, threads=1)
            row: dict[str, object] = {"population": kind, "classes": k, "target": target, "trial": trial}
            for name, real, value, interval, pairs in zip(
                ("far", "frr"), truth.at(point.threshold), (point.far, point.frr), (point.far_ci, point.frr_ci),
                (point.data.negatives, point.data.positives), strict=True,
            ):  # fmt: skip
                reach = norm.ppf(0.975) * np.sqrt(value * (1 - value) / pairs)
                held[name].append(interval[0] <= real <= interval[1])
                held[f"{name} binomial"].append(abs(real - value) <= reach)
                row |= {
                    name: f"{value:.6g}", f"{name}_low": f"{interval[0]:.6g}", f"{name}_high": f"{interval[1]:.6g}",
                    f"{name}_population": f"{real:.6g}",
                }  # fmt: skip
            raw.append(row)
        lines.append([kind, str(k), f"{target:g}", *(share_with_error(values) for values in held.values())])
        print(lines[-1], flush=True)
    heads = ["population", "classes", "FAR target", "FAR in interval", "FRR in interval", "FAR in binomial",
             "FRR in binomial"]  # fmt: skip
    write_csv(options.out / "simulated.csv", raw)
    text = (
        f"# Simulated classes: confidence intervals for the population\n\n"
        f"{describe_run(options.trials, 'trials a row')}\n\nShares of trials, ± one standard error; intervals are "
        f"nominally 95%. The populations are described in `simulated.py`.\n\n{markdown(heads, lines)}\n\n{NOTE}\n"
    )
    (options.out / "simulated.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
