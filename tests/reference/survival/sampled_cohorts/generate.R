# Reference numbers for sampled cohorts: survival::cch and survival::clogit.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
# cch takes no control argument; tighten the default so that its numbers have all their digits
control <- coxph.control
formals(control)$eps <- 1e-14
formals(control)$toler.chol <- 1e-15
formals(control)$iter.max <- 50
assignInNamespace("coxph.control", control, "survival")
out <- list()

nwtco <- data("nwtco")
nwtco$histol <- factor(nwtco$histol)
nwtco$stage <- factor(nwtco$stage)
nwtco$years <- nwtco$age / 12
nwtco$age_out <- nwtco$years + nwtco$edrel / 365.25
nwtco$coarse <- ceiling(nwtco$edrel / 100)
nwtco$sub <- nwtco$in.subcohort == "True"
nwtco$seventh <- nwtco$seqno %% 7 == 0
case_cohort <- function(id, call, fit) {
  v <- vcov(fit)
  out[[id]] <<- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(v))),
    cov = unname(v), sampling = unname(fit$phase2var), n_cohort = sum(fit$cohort.size))
}
sizes <- table(nwtco$instit)
sampled <- nwtco[nwtco$rel == 1 | nwtco$sub, ]
for (method in c("Prentice", "SelfPrentice", "LinYing")) {
  case_cohort(paste0("nwtco_", method), "Surv(edrel, rel) ~ stage + histol + years, cohort.size = 4028",
    cch(Surv(edrel, rel) ~ stage + histol + years, data = sampled, subcoh = ~sub, id = ~seqno, cohort.size = 4028, method = method))
  case_cohort(paste0("ties_", method), "Surv(coarse, rel) ~ histol + years, cohort.size = 4028",
    cch(Surv(coarse, rel) ~ histol + years, data = sampled, subcoh = ~sub, id = ~seqno, cohort.size = 4028, method = method))
  case_cohort(paste0("age_", method), "Surv(years, age_out, rel) ~ stage + histol, cohort.size = 4028",
    cch(Surv(years, age_out, rel) ~ stage + histol, data = sampled, subcoh = ~sub, id = ~seqno, cohort.size = 4028, method = method))
}
for (id in c("nwtco", "ties", "age")) {
  formula <- list(nwtco = Surv(edrel, rel) ~ stage + histol + years, ties = Surv(coarse, rel) ~ histol + years,
    age = Surv(years, age_out, rel) ~ stage + histol)[[id]]
  case_cohort(paste0(id, "_LinYing_robust"), paste(deparse(formula), "robust = TRUE"),
    cch(formula, data = sampled, subcoh = ~sub, id = ~seqno, cohort.size = 4028, method = "LinYing", robust = TRUE))
  case_cohort(paste0(id, "_II.Borgan"), paste(deparse(formula), "stratum = ~instit"),
    cch(formula, data = sampled, subcoh = ~sub, id = ~seqno, stratum = ~instit, cohort.size = sizes, method = "II.Borgan"))
}
seventh <- nwtco[nwtco$rel == 1 | nwtco$seventh, ]
for (method in c("Prentice", "SelfPrentice", "LinYing"))
  case_cohort(paste0("seventh_", method), "Surv(edrel, rel) ~ stage + histol, subcoh = seqno %% 7 == 0",
    cch(Surv(edrel, rel) ~ stage + histol, data = seventh, subcoh = ~seventh, id = ~seqno, cohort.size = 4028, method = method))
by_stage <- table(nwtco$stage)
case_cohort("seventh_II.Borgan", "Surv(edrel, rel) ~ histol + years, stratum = ~stage",
  cch(Surv(edrel, rel) ~ histol + years, data = seventh, subcoh = ~seventh, id = ~seqno, stratum = ~stage, cohort.size = by_stage, method = "II.Borgan"))

# events after every member of the subcohort has left
nwtco$short <- nwtco$seventh & nwtco$edrel < 1000
short <- nwtco[nwtco$rel == 1 | nwtco$short, ]
for (method in c("Prentice", "SelfPrentice"))
  case_cohort(paste0("short_", method), "Surv(edrel, rel) ~ histol + years, subcoh = seqno %% 7 == 0 & edrel < 1000",
    cch(Surv(edrel, rel) ~ histol + years, data = short, subcoh = ~short, id = ~seqno, cohort.size = 4028, method = method))

matched <- function(id, call, fit) {
  out[[id]] <<- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    loglik = fit$loglik, n = fit$n, nevent = fit$nevent, score = fit$score, wald = unname(fit$wald.test))
}
infert <- data("infert")
infert$education <- factor(infert$education)
matched("infert", "case ~ spontaneous + induced + strata(stratum)", clogit(case ~ spontaneous + induced + strata(stratum), infert))
matched("infert_factor", "case ~ factor(induced) + spontaneous + strata(stratum)",
  clogit(case ~ factor(induced) + spontaneous + strata(stratum), infert))
matched("infert_parity", "case ~ spontaneous + induced + age + strata(parity)",
  clogit(case ~ spontaneous + induced + age + strata(parity), infert))
diabetic <- data("diabetic")
matched("diabetic_pairs", "status ~ trt + risk + strata(id)", clogit(status ~ trt + risk + strata(id), diabetic))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
