"""Long visits to what models take: start-stop rows, intervals of onset, landmark sets."""

import dxa_causal as dc

f = dc.followup
study, _ = dc.simulate.cohort(600, seed=1)
people = study.subjects[["subject_id", "age", "training", "time", "died"]]
grip = f.tdc(study.visits, "years", "grip_kg")

rows, counts = f.start_stop(people, {"grip_kg": grip}, id="subject_id", time="time", event="died")
print(rows.head(4))
print(counts)
print(dc.survival.cox("Surv(tstart, tstop, died) ~ age + training + grip_kg", rows).tidy(exponentiate=True))

onset, steps = f.visit_outcome(
    study.visits, people, id="subject_id", time="years", status="sarcopenia", death_time="time", died="died"
)
print(onset.head(4))
print(steps)

sets, at_risk = f.landmark(
    people, {"grip_kg": grip}, at=[1, 2, 3], horizon=2, max_gap=1.5, id="subject_id", time="time", event="died"
)
print(at_risk)
model = "Surv(entry, time, died) ~ age + grip_kg"
print(dc.survival.cox(model, sets, strata="landmark", cluster="subject_id").tidy(exponentiate=True))
