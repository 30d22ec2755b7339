"""Train every arm on every base loss, data set and seed, and write down how consistent one threshold then is.

    python studies/adaptive/run.py --scratch /tmp/adaptive      240 runs of about eight seconds on one core

Rows go to runs.csv as they are found. A run that stands there is not done again, so the program may be killed and
started again at any time. The embeddings of each run stay in the scratch folder, for calibration.py.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import evenmatch as em
from evenmatch import datasets
from evenmatch.embeddings import atomic_path
from evenmatch.measures import utility
from evenmatch.training import BalancedBatches, build_network
from evenmatch.training._build import build_loss
from evenmatch.training._config import ImageConfig, LossConfig, OptimizerConfig, ScheduleConfig, TCMConfig
from evenmatch.training._learner import learning_rate_factor
from evenmatch.training._pixels import BatchSource
from evenmatch.training._sampler import BatchPlan

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVENMATCH_DATA", HERE.parents[2] / "shared" / "data"))
STUDY = yaml.safe_load((HERE / "study.yaml").read_text(encoding="utf-8"))
KEY = ("data", "seed", "base", "arm", "part")
COLUMNS = (
    *KEY, "opis", "eps_opis", "opis_groups", "tar_part", "far_part", "recall_at_1", "tar_at_far_1e-2",
    "tar_at_far_1e-1", "utility", "threshold_low", "threshold_high", "margin_pos", "margin_neg", "seconds",
)  # fmt: skip


class Domain:
    """All images of a data set, decoded once, and the plan of who trains on what."""

    def __init__(self, name: str, scratch: Path) -> None:
        plan = STUDY["data"][name]
        self.name, self.train, self.test = name, plan["train"], plan["test"]
        settings = ImageConfig.model_validate({**STUDY["image"], "invert": name == "omniglot"})
        if name == "omniglot":
            images = datasets.build(name, _unpacked(scratch), "train", alphabets=[*self.train, *self.test])
        else:
            images = datasets.build(name, None, "all", size=32)
            images = images.subset(np.isin(images.groups, [*self.train, *self.test]))
        self.labels, self.groups = np.asarray(images.labels), np.asarray(images.groups)
        codes = np.searchsorted(images.classes, images.labels)
        self.training = BatchSource(images, codes, settings, augment=True)
        self.still = BatchSource(images, codes, settings, augment=False)

    def parts(self, seed: int) -> dict[str, np.ndarray]:
        """See `parts_of`."""
        return parts_of(self.labels, self.groups, self.train, STUDY["held_out"], seed)

    def network(self) -> Any:
        """A fresh network, drawn from torch's generator."""
        model = STUDY["model"]
        return build_network(
            model["backbone"], channels=1, pooling=model["pooling"], dim=model["dim"], size=STUDY["image"]["size"],
            **model["options"],
        )  # fmt: skip


def parts_of(
    labels: np.ndarray, groups: np.ndarray, domains: list[str], held_out: float, seed: int
) -> dict[str, np.ndarray]:
    """Rows to train on ("train"), of unseen classes of the same domains ("same") and of other domains ("other")."""
    held = np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng([seed, 7])
    for domain in domains:
        classes = np.unique(labels[groups == domain])
        chosen = rng.permutation(classes)[: round(held_out * len(classes))]
        held |= (groups == domain) & np.isin(labels, chosen)
    known = np.isin(groups, domains)
    return {
        name: np.flatnonzero(rows) for name, rows in {"train": known & ~held, "same": held, "other": ~known}.items()
    }


def train(domain: Any, rows: np.ndarray, seed: int, base: dict[str, Any], arm: dict[str, Any]) -> tuple[Any, Any]:
    """A network and its loss after the steps of the study."""
    codes = np.unique(domain.labels[rows], return_inverse=True)[1]
    groups = torch.from_numpy(np.unique(domain.groups[rows], return_inverse=True)[1])
    optimizer, schedule = (kind.model_validate(STUDY[name]) for kind, name in
                           ((OptimizerConfig, "optimizer"), (ScheduleConfig, "schedule")))  # fmt: skip
    torch.manual_seed(seed)
    network = domain.network()
    loss = build_loss(
        LossConfig.model_validate(base), TCMConfig.model_validate(arm), int(codes.max()) + 1, STUDY["model"]["dim"],
        n_groups=int(groups.max()) + 1,
    )  # fmt: skip
    parameters = [*network.parameters(), *loss.parameters()]
    stepper = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": optimizer.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=getattr(domain, "rate", optimizer.lr),
    )
    rate = torch.optim.lr_scheduler.LambdaLR(stepper, learning_rate_factor(schedule))
    batches = BalancedBatches(
        codes, STUDY["batch"]["size"], STUDY["batch"]["per_class"], steps=schedule.steps, seed=seed
    )
    for plan in batches:
        images = domain.training[BatchPlan(rows[plan.rows], plan.seeds)]["images"]
        value = loss(network(images), torch.from_numpy(codes[plan.rows]), groups=groups[plan.rows])
        stepper.zero_grad()
        value.backward()
        stepper.step()
        rate.step()
    return network.eval(), loss


def embed(domain: Any, network: Any, rows: np.ndarray) -> np.ndarray:
    """Unit vectors of the images of some rows."""
    with torch.inference_mode():
        found = [
            network(domain.still[BatchPlan(rows[at : at + 256])]["images"]).numpy() for at in range(0, len(rows), 256)
        ]
    return np.concatenate(found)


def judge(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """OPIS of the classes, OPIS across the groups, what TAR and FAR each have a part in, and accuracy."""
    audit = em.audit(vectors, labels, groups=groups)
    counts, result = audit.counts, audit.consistency
    inside = np.isin(counts.thresholds, result.thresholds)
    tar = counts.positives_accepted[:, inside] / counts.positives[:, None]
    tnr = 1 - counts.negatives_accepted[:, inside] / counts.negatives[:, None]
    cells = counts.groups
    assert cells is not None
    own = np.arange(len(cells.names))
    group_tar = (cells.positives_accepted[own, own] / cells.positives[own, own, None])[:, inside]
    group_tnr = 1 - (cells.negatives_accepted[own, own] / cells.negatives[own, own, None])[:, inside]

    def inconsistency(tar: np.ndarray, tnr: np.ndarray) -> float:
        curves = utility(*np.broadcast_arrays(tar, tnr))
        return float((np.square(curves - curves.mean(0)) @ result.weights).mean())

    return {
        "opis": audit.opis,
        "eps_opis": audit.eps_opis,
        "opis_groups": inconsistency(group_tar, group_tnr),
        "tar_part": inconsistency(tar, tnr.mean(0, keepdims=True)),
        "far_part": inconsistency(tar.mean(0, keepdims=True), tnr),
        "recall_at_1": audit.recall_at_k[1],
        "tar_at_far_1e-2": audit.tar_at_far[1e-2] or np.nan,
        "tar_at_far_1e-1": audit.tar_at_far[1e-1] or np.nan,
        "utility": float(result.mean_curve @ result.weights),
        "threshold_low": audit.threshold_range[0],
        "threshold_high": audit.threshold_range[1],
    }


def run(domain: Domain, seed: int, base: str, arm: str, scratch: Path) -> list[dict[str, Any]]:
    """One training run: a row for the unseen classes of the same domains, one for the other domains."""
    parts = domain.parts(seed)
    start = time.process_time()
    network, loss = train(domain, parts["train"], seed, STUDY["bases"][base], STUDY["arms"][arm])
    seconds = time.process_time() - start
    margins = [float(m) for m in loss.tcm.margins()] if hasattr(loss.tcm, "margins") else ["", ""]
    vectors = keep(domain, network, parts, seed, base, arm, scratch)
    rows = []
    for part in ("same", "other"):
        chosen = parts[part]
        rows.append(
            {"data": domain.name, "seed": seed, "base": base, "arm": arm, "part": part,
             **{name: f"{value:.6g}" for name, value in
                judge(vectors[part], domain.labels[chosen], domain.groups[chosen]).items()},
             "margin_pos": margins[0], "margin_neg": margins[1], "seconds": f"{seconds:.1f}"}
        )  # fmt: skip
    return rows


def keep(
    domain: Any, network: Any, parts: dict[str, np.ndarray], seed: int, base: str, arm: str, scratch: Path
) -> dict[str, np.ndarray]:
    """Embed the parts that are judged; they go to a file for calibration.py, too, with a threshold.

    That threshold is of one who calibrates on nothing but the classes that were trained on, at FAR 1%.
    """
    some = np.sort(np.random.default_rng(seed).permutation(parts["train"])[:800])
    known = em.audit(embed(domain, network, some), domain.labels[some])
    vectors = {part: embed(domain, network, parts[part]) for part in ("same", "other")}
    kept = {"training_threshold": np.float64(known.threshold_at_far(1e-2).threshold)}
    for part, values in vectors.items():
        kept |= {f"{part}_vectors": values.astype(np.float16), f"{part}_labels": domain.labels[parts[part]]}
        kept[f"{part}_groups"] = domain.groups[parts[part]]
    with atomic_path(scratch / f"{domain.name}-{seed}-{base}-{arm}.npz") as temporary:
        np.savez(temporary, **kept)
    return vectors


def main() -> None:
    """Do what is not done yet, seed by seed, so that every seed is complete before the next begins."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for unpacked images and embeddings")
    parser.add_argument("--out", type=Path, default=HERE / "runs.csv")
    parser.add_argument("--seeds", type=int, default=len(STUDY["seeds"]), help="how many of the seeds")
    parser.add_argument("--bases", nargs="+", choices=list(STUDY["bases"]), default=list(STUDY["bases"]))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    if arguments.out.exists():
        with arguments.out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    done = {tuple(str(row[name]) for name in KEY[:4]) for row in rows}
    domains = {name: Domain(name, arguments.scratch) for name in STUDY["data"]}
    for seed in STUDY["seeds"][: arguments.seeds]:
        for name, domain in domains.items():
            for base in arguments.bases:
                for arm in STUDY["arms"]:
                    if (name, str(seed), base, arm) in done:
                        continue
                    rows += run(domain, seed, base, arm, arguments.scratch)
                    with atomic_path(arguments.out) as path, path.open("w", encoding="utf-8", newline="") as file:
                        writer = csv.DictWriter(file, COLUMNS)
                        writer.writeheader()
                        writer.writerows(rows)
                    print(name, seed, base, arm, *(f"{row['part']} {row['opis']}" for row in rows[-2:]), flush=True)


def _unpacked(scratch: Path) -> Path:
    """The Omniglot folder of the shared data; where that holds the official archives, they are unpacked first."""
    source = DATA / "omniglot"
    if any(source.glob("images_background*/")):
        return source
    target = scratch / "omniglot"
    for archive in sorted(source.glob("images_background*.zip")):
        if not (target / archive.stem).is_dir():
            with zipfile.ZipFile(archive) as file:
                file.extractall(target)
    return target


if __name__ == "__main__":
    main()
