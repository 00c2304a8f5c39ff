"""Illness-death model: sarcopenia seen only at visits, people who die in between, and a simpler analysis."""

import numpy as np
import pandas as pd

import dxa_causal as dc

people = dc.simulate.illness_death_cohort(2000, seed=1, visit_gap=4.0)
fit = dc.survival.illness_death(
    ill="Surv(last_free_age, first_seen_age, type='interval')",
    death="Surv(age_entry, age_end, died)",
    covariates="C(sex) + grip_z",
    data=people,
)
print(fit)
print(fit.baseline())

woman = pd.DataFrame({"sex": ["female"], "grip_z": [-1.0]})
print(fit.predict(woman, type="state_probability", start=70, times=[75, 80, 85]))
print(fit.predict(woman, type="lifetime_risk", start=70))
print(fit.predict(woman, type="life_expectancy", start=70))

# onset taken for the visit that found it, death as censoring at the last visit
seen = np.isfinite(people["first_seen_age"])
naive = people.assign(age=people["first_seen_age"].where(seen, people["last_free_age"]), found=seen.astype(int))
cox = dc.survival.cox("Surv(age_entry, age, found) ~ C(sex) + grip_z", naive[naive["age"] > naive["age_entry"]])
truth = people.attrs["log_hazard_ratio"]["healthy -> ill"]
onset = fit.tidy().query("transition == 'healthy -> ill'")
print(
    pd.DataFrame(
        {
            "term": cox.terms,
            "truth": [truth["male"], truth["grip_z"]],
            "illness-death": onset["estimate"].to_numpy(),
            "Cox at the visit": cox.coefficients,
        }
    )
)
fit.plot(time_label="Age, years").figure.savefig("illness_death.svg")
