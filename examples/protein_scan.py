"""Which of 200 proteins act on bone density, fracture or grip? Every pair at once, with false discovery rates."""

import numpy as np
import pandas as pd

import dxa_causal as dc

rng = np.random.default_rng(1)
protein = np.repeat(np.arange(200), 4)  # four cis variants each
base = pd.DataFrame({"variant": [f"rs{k}" for k in range(800)], "effect_allele": "A", "other_allele": "G"})
effect_on_protein = rng.uniform(0.1, 0.3, 800)
exposures = base.assign(
    exposure=[f"protein {p}" for p in protein], beta=effect_on_protein + rng.normal(0, 0.02, 800), se=0.02
)
acts = np.where(rng.random((200, 3)) < 0.05, 0.3, 0.0)  # a twentieth of the pairs
outcomes = {
    name: base.assign(beta=acts[protein, k] * effect_on_protein + rng.normal(0, 0.015, 800), se=0.015)
    for k, name in enumerate(["heel BMD", "fracture", "grip strength"])
}

scan = dc.mr.scan(exposures, outcomes, methods=["ivw", "egger", "weighted_median"], seed=1, n_jobs=2)
print(scan)
print(scan.pooled().query("p_bh < 0.05"))  # heterogeneity pooled: holds its rate with few variants
best = scan.pooled().iloc[0]
h = scan.pair(best["exposure"], best["outcome"])  # one pair, whole, with its audit
print(dc.mr.estimate(h, seed=1).tidy())
