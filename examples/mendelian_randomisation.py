"""Does body mass index cause coronary heart disease? Two GWAS, harmonised with an audit."""

import dxa_causal as dc

harmonised = dc.mr.harmonise(dc.datasets.load("bmi_gwas"), dc.datasets.load("chd_gwas"), action=2)
print(harmonised.audit.head())
estimates = dc.mr.estimate(harmonised, methods=["ivw", "egger", "weighted_median"], seed=1)
print(estimates.tidy(exponentiate=True))
print(dc.mr.pleiotropy(harmonised))
