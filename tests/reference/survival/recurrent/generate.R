# Reference numbers for tests/survival/test_recurrent.py, from R's survival and mets.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressPackageStartupMessages({library(survival); library(mets); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
wlw <- data("bladder"); bladder <- data("bladder2"); bladder1 <- data("bladder1"); cgd <- data("cgd"); stays <- data("stays")
bladder1 <- subset(bladder1, stop > start)
bladder1$again <- as.integer(bladder1$status == 1)
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
out <- list()
out$packages <- list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                     mets = as.character(packageVersion("mets")))

cox <- function(id, call, fit) {
  s <- summary(fit)
  out[[id]] <<- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    statistic = unname(coef(fit) / sqrt(diag(vcov(fit)))), naive_se = unname(sqrt(diag(fit$naive.var))), loglik = fit$loglik,
    n = fit$n, nevent = fit$nevent, wald = unname(fit$wald.test), concordance = unname(fit$concordance["concordance"]))
}
for (ties in c("efron", "breslow")) {
  cox(paste0("ag_", ties), "coxph(Surv(start, stop, event) ~ rx + size + number, bladder2, cluster = id)",
      coxph(Surv(start, stop, event) ~ rx + size + number, bladder, cluster = id, ties = ties, control = control))
  cox(paste0("pwp_total_", ties), "coxph(Surv(start, stop, event) ~ rx + size + number + strata(enum), bladder2, cluster = id)",
      coxph(Surv(start, stop, event) ~ rx + size + number + strata(enum), bladder, cluster = id, ties = ties, control = control))
  cox(paste0("pwp_gap_", ties), "coxph(Surv(stop - start, event) ~ rx + size + number + strata(enum), bladder2, cluster = id)",
      coxph(Surv(stop - start, event) ~ rx + size + number + strata(enum), bladder, cluster = id, ties = ties, control = control))
  cox(paste0("wlw_", ties), "coxph(Surv(stop, event) ~ rx + size + number + strata(enum), bladder, cluster = id)",
      coxph(Surv(stop, event) ~ rx + size + number + strata(enum), wlw, cluster = id, ties = ties, control = control))
}
cox("wlw_by_event", "coxph(Surv(stop, event) ~ rx:enum + size:enum + strata(enum), bladder, cluster = id), enum a factor",
    coxph(Surv(stop, event) ~ rx:factor(enum) + size:factor(enum) + strata(enum), wlw, cluster = id, control = control))
cox("pwp_gap_by_event", "the same on bladder2 with Surv(stop - start, event)",
    coxph(Surv(stop - start, event) ~ rx:factor(enum) + size:factor(enum) + strata(enum), bladder, cluster = id, control = control))
cox("pwp_total_two", "coxph(Surv(start, stop, event) ~ rx + strata(enum), subset(bladder2, enum <= 2), cluster = id)",
    coxph(Surv(start, stop, event) ~ rx + strata(enum), subset(bladder, enum <= 2), cluster = id, control = control))
cox("cgd_ag", "coxph(Surv(tstart, tstop, status) ~ treat + age + sex, cgd, cluster = id)",
    coxph(Surv(tstart, tstop, status) ~ treat + age + sex, cgd, cluster = id, control = control))
cox("cgd_pwp_total", "coxph(Surv(tstart, tstop, status) ~ treat + age + strata(enum), cgd, cluster = id)",
    coxph(Surv(tstart, tstop, status) ~ treat + age + strata(enum), cgd, cluster = id, control = control))
cox("cgd_pwp_gap", "coxph(Surv(tstop - tstart, status) ~ treat + age + strata(enum), cgd, cluster = id)",
    coxph(Surv(tstop - tstart, status) ~ treat + age + strata(enum), cgd, cluster = id, control = control))
cox("cgd_strata", "coxph(Surv(tstart, tstop, status) ~ treat + age + strata(hos.cat, enum), cgd, cluster = id)",
    coxph(Surv(tstart, tstop, status) ~ treat + age + strata(hos.cat, enum), cgd, cluster = id, control = control))

mean_function <- function(id, call, fit, at) {
  s <- summary(fit, times = at)
  out[[id]] <<- list(call = call, times = at, n_risk = s$n.risk, cumhaz = s$cumhaz, se = s$std.chaz)
}
mean_function("mcf_bladder", "survfit(Surv(start, stop, again) ~ treatment, subset(bladder1, stop > start), id = id)",
              survfit(Surv(start, stop, again) ~ treatment, bladder1, id = id), c(5, 20, 40))
mean_function("mcf_cgd", "survfit(Surv(tstart, tstop, status) ~ treat, cgd, id = id)",
              survfit(Surv(tstart, tstop, status) ~ treat, cgd, id = id), c(100, 200, 350))
mean_function("mcf_stays_weights", "survfit(Surv(start, stop, stay) ~ 1, stays, id = id, weights = w)",
              survfit(Surv(start, stop, stay) ~ 1, stays, id = id, weights = w), c(1, 2, 4))
gaps <- subset(stays, seq_len(nrow(stays)) %% 7 != 0)
mean_function("mcf_stays_gaps", "the same without every seventh row, unweighted",
              survfit(Surv(start, stop, stay) ~ arm, gaps, id = id), c(1, 2, 4))

at <- c(1, 2, 3, 4)
with_death <- function(id, call, by) {
  formula <- function(event) as.formula(paste("Surv(start, stop,", event, ") ~", by, "+ cluster(id)"))
  m <- recurrentMarginal(phreg(formula("stay"), data = stays), phreg(formula("died"), data = stays))
  at_time <- function(g) { k <- m$strata == g; j <- sapply(at, function(t) max(which(m$times[k] <= t))); list(m$mu[k][j], m$se.mu[k][j]) }
  found <- lapply(sort(unique(m$strata)), at_time)
  out[[id]] <<- list(call = call, times = at, mean = unlist(lapply(found, `[[`, 1)), se = unlist(lapply(found, `[[`, 2)))
}
with_death("death_stays", "recurrentMarginal(phreg(Surv(start, stop, stay) ~ cluster(id)), phreg(Surv(start, stop, died) ~ cluster(id)))", "1")
with_death("death_stays_arm", "the same with strata(arm)", "strata(arm)")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, na = "null", auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
