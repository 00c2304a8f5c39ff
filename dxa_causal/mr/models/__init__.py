"""Further models of many variants at once, one a file: mixtures, Bayesian averaging, robust likelihood, curves."""
