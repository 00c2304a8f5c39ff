# Reference numbers for tests/survival/evaluation/test_evaluate.py, from R's riskRegression, pec and survival.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. The cases "score_pbc" and "timeroc_pbc" stand in stored.json:
# they were made once with riskRegression 2022.11.28 and timeROC 0.4.1 (not in Debian).
suppressMessages({library(riskRegression); library(survival); library(prodlim); library(pec); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
out <- list()

keep_score <- function(id, call, object, formula, d, times, ...) {
  s <- suppressMessages(suppressWarnings(Score(object, formula = formula, data = d, times = times, cens.model = "km",
    metrics = c("auc", "brier"), summary = c("ipa", "ibs"), ...)))
  plain <- function(x) lapply(as.data.frame(x), function(column) if (is.factor(column)) as.character(column) else column)
  out[[id]] <<- list(call = call, auc = plain(s$AUC$score), brier = plain(s$Brier$score),
    auc_contrasts = plain(s$AUC$contrasts), brier_contrasts = plain(s$Brier$contrasts))
}
# risks that both programs make from columns: 1 - exp(-t / scale * exp(lp)); the odd factors keep rounding from making
# or breaking ties
risk <- function(lp, times, scale) 1 - exp(-outer(exp(lp), times / scale))

# --- riskRegression::Score, one kind of event
lung <- data("lung"); lung <- lung[!is.na(lung$ph.ecog), ]
lung$ev <- lung$status
lung$month <- ceiling(lung$time / 30)
three <- function(d, times, scale) list(
  A = risk(0.0213 * (d$age - 62) - 0.507 * (d$sex - 1) + 0.391 * d$ph.ecog, times, scale),
  B = risk(0.0213 * (d$age - 62), times, scale), C = risk(0.391 * d$ph.ecog, times, scale))
keep_score("score_lung", "three models, days", three(lung, c(180, 365, 540), 500), Surv(time, ev) ~ 1, lung, c(180, 365, 540))
keep_score("score_lung_ties", "three models, months: many tied times", three(lung, c(6, 12, 18), 17), Surv(month, ev) ~ 1,
  lung, c(6, 12, 18))
dead <- lung[lung$ev == 1, ]
keep_score("score_lung_uncensored", "events only", three(dead, c(180, 365), 500), Surv(time, ev) ~ 1, dead, c(180, 365))
veteran <- data("veteran")
train <- veteran[seq_len(nrow(veteran)) %% 2 == 1, ]; test <- veteran[seq_len(nrow(veteran)) %% 2 == 0, ]
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
f1 <- coxph(Surv(time, status) ~ karno + age, train, x = TRUE, control = control)
f2 <- coxph(Surv(time, status) ~ karno + strata(trt), train, x = TRUE, control = control)
keep_score("score_veteran_test", "two Cox models, one stratified, on other rows", list(A = f1, B = f2),
  Surv(time, status) ~ 1, test, c(30, 90, 150))

# --- competing risks. getInfluenceCurve.AUC takes the state coded 1 for the cause, so that standard errors of an AUC are
# wrong for any other cause: the cause of interest is coded 1 here.
mgus2 <- data("mgus2_cr"); mgus2 <- mgus2[!is.na(mgus2$hgb), ]
mgus2$swapped <- c(0, 2, 1)[mgus2$event + 1]
two <- function(d, times, scale) list(
  A = risk(0.0307 * (d$age - 70) - 0.1013 * (d$hgb - 13), times, scale), B = risk(0.5 * (d$sex == "M"), times, scale))
keep_score("score_mgus2_pcm", "cause 1", two(mgus2, c(60, 120, 240), 2000), Hist(etime, event) ~ 1, mgus2, c(60, 120, 240),
  cause = 1)
keep_score("score_mgus2_death", "cause 2 of the data, coded 1", two(mgus2, c(60, 120, 240), 150), Hist(etime, swapped) ~ 1,
  mgus2, c(60, 120, 240), cause = 1)
fg <- FGR(Hist(etime, event) ~ age + hgb, mgus2, cause = 1)
cs <- CSC(Hist(etime, event) ~ age + hgb, mgus2, cause = 1)
keep_score("score_mgus2_fits", "FGR and CSC, exponential formula", list(
  fg = fg, cs = predictRisk(cs, mgus2, times = c(60, 120), cause = 1, product.limit = TRUE)), Hist(etime, event) ~ 1, mgus2,
  c(60, 120), cause = 1)

# --- concordance with competing risks: pec::cindex, untied times
mgus2$untied <- mgus2$etime + seq_len(nrow(mgus2)) / 10000
marker <- 0.0307 * (mgus2$age - 70) - 0.1013 * (mgus2$hgb - 13)
for (model in c("marginal", "none")) for (tau in c(120, 240)) {
  c1 <- suppressMessages(pec::cindex(list(A = cbind(plogis(marker))), Hist(untied, event) ~ 1, mgus2, eval.times = tau,
    pred.times = tau, cause = 1, cens.model = model))
  out[[paste("cindex", model, tau, sep = "_")]] <- list(call = paste0("pec::cindex, cens.model = ", model), c = c1$AppCindex$A)
}
# --- concordance of a score: survival
marker <- 0.0213 * (lung$age - 62) - 0.507 * (lung$sex - 1) + 0.391 * lung$ph.ecog
other <- 0.0213 * (lung$age - 62)
for (weight in c("n", "n/G2")) for (ymax in c(365, Inf)) {
  arguments <- list(Surv(time, ev) ~ marker, data = lung, timewt = weight, reverse = TRUE)
  if (is.finite(ymax)) arguments$ymax <- ymax
  fit <- do.call(concordance, arguments)
  out[[paste("concordance", c(n = "harrell", "n/G2" = "uno")[weight], ymax, sep = "_")]] <- list(
    call = paste0("concordance(timewt = '", weight, "', ymax = ", ymax, ")"), c = unname(fit$concordance),
    se = sqrt(unname(fit$var)))
}
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write(toJSON(out, digits = 15, pretty = TRUE, auto_unbox = TRUE), file.path(here, "expected.json"))
writeLines(capture.output(sessionInfo()), file.path(here, "sessionInfo.txt"))
