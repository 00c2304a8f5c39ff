"""Multiple imputation beside statsmodels: seconds of the whole call on one core.

    python -m tests.benchmarks.imputation [--n 10000] [--m 20] [--n-jobs 1]

Twenty imputations of 10 000 rows and 15 columns of mixed types, a fifth of the values missing, and a Cox model pooled
over them. statsmodels' MICEData takes numbers only: it is timed for one round of one chain over 15 columns of numbers
of the same size, and set beside ours for the same; its ordered and multinomial models for one column.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import dxa_causal as dc
from dxa_causal.imputation._kernels.categorical import draw_multinomial, draw_ordered


def mixed(n, share=0.2, seed=1):
    """Eight numbers, four of two categories, two of four, one of three in order; time and event complete."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 15)) + 0.6 * rng.normal(size=(n, 1))
    frame = pd.DataFrame({f"x{j}": z[:, j] for j in range(8)})
    for j in range(8, 12):
        frame[f"b{j}"] = np.where(z[:, j] > 0.3, "yes", "no")
    for j in range(12, 14):
        frame[f"c{j}"] = np.array(list("abcd"))[np.digitize(z[:, j], [-0.8, 0.2, 1.0])]
    order = ["low", "middle", "high"]
    frame["o"] = pd.Categorical(np.array(order)[np.digitize(z[:, 14], [-0.5, 0.8])], order, ordered=True)
    frame = frame.mask(rng.random(frame.shape) < share)
    event_time = rng.exponential(size=n) * np.exp(-0.4 * z[:, 0] - 0.3 * (z[:, 8] > 0.3))
    end = rng.exponential(2.0, size=n)
    return frame.assign(time=np.minimum(event_time, end), died=(event_time <= end) * 1)


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--m", type=int, default=20)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    frame = mixed(options.n)
    formula = "Surv(time, died) ~ " + " + ".join(c for c in frame if c not in ("time", "died"))
    dc.survival.cox("Surv(time, died) ~ x0", frame)  # kernels compiled
    with threadpool_limits(1):
        imp, imputing = timed(lambda: dc.imputation.chained(frame, formula, m=options.m, seed=1, n_jobs=options.n_jobs))
        _, pooling = timed(lambda: dc.imputation.pool(imp, lambda d: dc.survival.cox(formula, d)))
        print(f"{options.m} imputations of {options.n} x 15: {imputing:.1f} s; pooled Cox: {pooling:.1f} s")
        peers(options.n)


def peers(n):
    warnings.simplefilter("ignore")
    import statsmodels.api as sm
    from statsmodels.imputation.mice import MICEData
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    rng = np.random.default_rng(1)
    numbers = pd.DataFrame(rng.normal(size=(n, 15)), columns=[f"x{j}" for j in range(15)])
    numbers = numbers.mask(rng.random(numbers.shape) < 0.2)
    _, theirs = timed(lambda: MICEData(numbers).update_all(1))
    _, ours = timed(lambda: dc.imputation.chained(numbers, m=1, n_iterations=1, seed=1))
    print(f"one round over 15 columns of numbers: ours {ours:.3f} s, MICEData {theirs:.2f} s ({theirs / ours:.0f}x)")
    x = rng.normal(size=(n, 20))
    codes = np.digitize(x[:, 0] + rng.logistic(size=n), [-1.0, 0.0, 1.0])
    with_ones = sm.add_constant(x)
    for label, draw, fit in (
        ("proportional odds", draw_ordered, lambda: OrderedModel(codes, x, distr="logit").fit(method="bfgs", disp=0)),
        ("multinomial", draw_multinomial, lambda: sm.MNLogit(codes, with_ones).fit(disp=0)),
    ):
        _, theirs = timed(fit)
        _, ours = timed(lambda draw=draw: draw(with_ones, codes, with_ones[:9], 4, None, rng))
        print(f"{label}, 4 levels, 20 predictors: ours {ours:.3f} s, statsmodels {theirs:.2f} s ({theirs / ours:.0f}x)")


if __name__ == "__main__":
    main()
