# R 4.2.2, base packages only. Run in this folder: Rscript generate.R
# Logistic regression for test_logistic.py: the propensity model of What If, chapter 12,
# and one with case weights and an offset. epsilon makes glm iterate to machine precision.
nhefs <- subset(read.csv("nhefs.csv"), !is.na(wt82_71))
control <- glm.control(epsilon = 1e-15, maxit = 100)
whatif <- qsmk ~ sex + race + age + I(age^2) + factor(education) + smokeintensity + I(smokeintensity^2) +
  smokeyrs + I(smokeyrs^2) + factor(exercise) + factor(active) + wt71 + I(wt71^2)
plain <- glm(whatif, family = binomial, data = nhefs, control = control)
weighted <- suppressWarnings(glm(qsmk ~ age + sex, family = binomial, data = nhefs,
  weights = 0.5 + smokeyrs / 20, offset = wt71 / 100, control = control))
weight <- 0.5 + nhefs$smokeyrs / 20
describe <- function(fit, case_weight) {
  p <- fitted(fit)
  text <- function(v) paste0("[", paste(formatC(v, digits = 17, format = "g"), collapse = ", "), "]")
  paste0('{\n    "coefficients": ', text(unname(coef(fit))), ',\n    "std_error": ',
    text(unname(sqrt(diag(vcov(fit))))), ',\n    "log_likelihood": ',
    formatC(sum(case_weight * ifelse(fit$y == 1, log(p), log1p(-p))), digits = 17, format = "g"), "\n  }")
}
writeLines(c("{", paste0('  "whatif": ', describe(plain, 1), ","),
  paste0('  "weighted_offset": ', describe(weighted, weight)), "}"), "logistic.json")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
