"""Who dies within four years? A penalised Cox model, a forest, boosting and their combination on held-out rows."""

from sklearn.compose import ColumnTransformer
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

import dxa_causal as dc

s = dc.survival
numbers = ["age", "bmi", "grip_kg", "poverty_ratio"]
factors = ["sex", "self_rated_health"]
people = dc.datasets.load("nhanes_mortality").query("age >= 60").dropna(subset=[*numbers, *factors])
X, y = people[numbers + factors], s.survival_outcome("Surv(time, died)", people)

prepare = ColumnTransformer(
    [("factors", OneHotEncoder(drop="first", sparse_output=False), factors)],
    remainder="passthrough",
    verbose_feature_names_out=False,
).set_output(transform="pandas")
models = {
    "elastic net": s.CoxNet(l1_ratio=0.5, cv=5, n_lambdas=30, seed=1),
    "forest": s.RandomSurvivalForest(30, min_samples_leaf=20, seed=1),
    "boosting": s.GradientBoostedSurvival(30, max_depth=2, seed=1),
}
pipelines = {name: Pipeline([("prepare", prepare), ("model", model)]) for name, model in models.items()}

for name, pipeline in pipelines.items():
    scores = cross_validate(pipeline, X, y, cv=KFold(3, shuffle=True, random_state=1))["test_score"]
    print(f"{name:12} concordance {scores.mean():.3f}")

stack = s.StackedSurvival(list(pipelines.items()), cv=3, seed=1).fit(X, y)
print(stack.cv_results_.round(4))
print(stack.predict_survival_function(X.head(3), times=[1, 2, 4]).round(3))

net = pipelines["elastic net"].fit(X, y)["model"]
print(net.tidy())
net.plot_path().figure.savefig("path.svg")
net.plot_cv().figure.savefig("cross_validation.svg")
chosen = make_pipeline(prepare, s.CoxNet(lambdas=[net.lambda_]))
print(s.permutation_importance(chosen, X, y, cv=3, seed=1).tidy())
