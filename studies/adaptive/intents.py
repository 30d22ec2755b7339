"""Heads on CLINC150's sentence embeddings for calibration.py: intents of five domains train, those of the others test.

    python studies/adaptive/intents.py --scratch /tmp/adaptive      70 runs, two minutes on one core

The five domains are drawn anew for each seed, and half of their intents are held out: *unseen classes of the training
domains*. The arms are those of study.yaml; only the embeddings are kept, in the scratch folder.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from run import DATA, STUDY, keep, parts_of, train
from torch import Tensor, nn

import evenmatch as em
from calibration import ARMS, BASES
from evenmatch.training._sampler import BatchPlan


@dataclass(frozen=True)
class Sentences:
    """Embeddings in the place of images; in training a tenth of the values is dropped."""

    vectors: Tensor
    dropped: float

    def __getitem__(self, plan: BatchPlan) -> dict[str, Tensor]:
        batch = self.vectors[torch.from_numpy(plan.rows)]
        if not self.dropped:
            return {"images": batch}
        generator = torch.Generator().manual_seed(int(plan.seeds[0]))
        return {"images": batch * (torch.rand(batch.shape, generator=generator) >= self.dropped)}


class Intents:
    """CLINC150 as `run.train` wants a data set."""

    name = "clinc150"

    def __init__(self) -> None:
        data, plan = em.load(DATA / "clinc150_minilm.npz"), STUDY["intents"]
        rng = np.random.default_rng(0)
        kept = np.sort(np.concatenate([rng.permutation(np.flatnonzero(data.codes == code))[: plan["per_class"]]
                                       for code in range(len(data.classes))]))  # fmt: skip
        self.labels, self.groups = np.asarray(data.labels)[kept], np.asarray(data.groups)[kept]
        vectors = nn.functional.normalize(torch.from_numpy(np.asarray(data.vectors[kept], np.float32)))
        vectors *= data.dim**0.5  # values of about 1
        self.training, self.still = Sentences(vectors, 0.1), Sentences(vectors, 0.0)
        self.rate = plan["lr"]

    def network(self) -> nn.Module:
        """One linear layer."""
        return nn.Linear(self.still.vectors.shape[1], STUDY["model"]["dim"])

    def parts(self, seed: int) -> dict[str, np.ndarray]:
        """See `run.parts_of`; half of the domains are trained on."""
        domains = np.random.default_rng([seed, 13]).permutation(np.unique(self.groups))
        known = sorted(domains[: len(domains) // 2].tolist())
        return parts_of(self.labels, self.groups, known, STUDY["intents"]["held_out"], seed)


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for embeddings")
    scratch = parser.parse_args().scratch
    torch.set_num_threads(1)
    scratch.mkdir(parents=True, exist_ok=True)
    data = Intents()
    for seed in STUDY["seeds"]:
        parts = data.parts(seed)
        for base in BASES:
            for arm in ARMS:
                if not (scratch / f"{data.name}-{seed}-{base}-{arm}.npz").exists():
                    network, _ = train(data, parts["train"], seed, STUDY["bases"][base], STUDY["arms"][arm])
                    keep(data, network.eval(), parts, seed, base, arm, scratch)
                    print(seed, base, arm, flush=True)


if __name__ == "__main__":
    main()
