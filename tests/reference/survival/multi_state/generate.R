# Reference numbers for tests/survival/test_multi_state.py, from R's survival.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressPackageStartupMessages({library(survival); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
mgus <- data("mgus2_ms"); mgus$state <- factor(mgus$st, c("censor", "pcm", "death"))
mgus$w <- 1 + mgus$id %% 3 / 2
aml <- data("myeloid_ms"); aml$state <- factor(aml$st, c("censor", "cr", "sct", "relapse", "death"))
moves <- data("moves"); moves$to <- factor(moves$to, c("none", "well", "ill", "dead"))
moves$from <- factor(moves$from, c("well", "ill", "dead"))
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
out <- list()
out$packages <- list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")))

cox <- function(id, call, fit) {
  out[[id]] <<- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    naive_se = if (is.null(fit$naive.var)) NULL else unname(sqrt(diag(fit$naive.var))),
    covariance = unname(vcov(fit)), loglik = fit$loglik, n = fit$n, nevent = fit$nevent)
  invisible(fit)
}
fit <- cox("cox_mgus", "coxph(Surv(tstart, tstop, state) ~ age + sex, mgus, id = id)",
           coxph(Surv(tstart, tstop, state) ~ age + sex, mgus, id = id, control = control))
new <- data.frame(age = c(60, 80), sex = c("F", "M"))
curve <- function(id, call, f, at) {
  k <- sapply(at, function(t) max(which(f$time <= t)))
  out[[id]] <<- list(call = call, times = at, states = f$states, pstate = f$pstate[k, , ], cumhaz = f$cumhaz[k, , ])
}
# survfit of a multi-state fit takes other denominators than Efron's: for such fits the hazards are those of single models
hazard <- function(id, call, fit, new, at) {
  f <- survfit(fit, newdata = new)
  k <- sapply(at, function(t) max(which(f$time <= t)))
  out[[id]] <<- list(call = call, times = at, cumhaz = f$cumhaz[k, ], se = f$std.chaz[k, ])
}
single <- function(rows, to) coxph(Surv(tstart, tstop, state == to) ~ age + sex, rows, control = control)
healthy <- subset(mgus, tstart == 0); ill <- subset(mgus, tstart > 0)
for (g in list(list("(s0) -> pcm", healthy, "pcm"), list("(s0) -> death", healthy, "death"), list("pcm -> death", ill, "death")))
  hazard(g[[1]], "survfit(coxph(Surv(tstart, tstop, state == to) ~ age + sex, <rows in the state>), newdata)",
         single(g[[2]], g[[3]]), new, c(30, 120, 240))
fit <- cox("cox_mgus_breslow", "the same with ties = 'breslow'",
           coxph(Surv(tstart, tstop, state) ~ age + sex, mgus, id = id, ties = "breslow", control = control))
curve("predict_mgus_breslow", "survfit(<cox_mgus_breslow>, newdata, stype = 1, ctype = 1, p0 = c(1, 0, 0))",
      survfit(fit, newdata = new, stype = 1, ctype = 1, p0 = c(1, 0, 0)), c(30, 120, 240))
cox("cox_mgus_hgb", "the same with hgb (rows with missing values left out)",
    coxph(Surv(tstart, tstop, state) ~ age + hgb, mgus, id = id, control = control))
cox("cox_mgus_weights", "the same with weights 1 + id %% 3 / 2",
    coxph(Surv(tstart, tstop, state) ~ age + sex, mgus, id = id, weights = w, control = control))
cox("cox_mgus_naive", "the same with robust = FALSE",
    coxph(Surv(tstart, tstop, state) ~ age + sex, mgus, id = id, robust = FALSE, control = control))
cox("cox_mgus_covariates", "coxph(list(Surv(tstart, tstop, state) ~ 1, 1:3 + 2:3 ~ age, 1:3 ~ sex), mgus, id = id)",
    coxph(list(Surv(tstart, tstop, state) ~ 1, 1:3 + 2:3 ~ age, 1:3 ~ sex), mgus, id = id, control = control))
cox("cox_mgus_shared", "coxph(list(Surv(tstart, tstop, state) ~ sex, 1:3 + 2:3 ~ age / common), mgus, id = id)",
    coxph(list(Surv(tstart, tstop, state) ~ sex, 1:3 + 2:3 ~ age / common), mgus, id = id, control = control))
cox("cox_myeloid", "coxph(Surv(tstart, tstop, state) ~ trt + sex, myeloid_ms, id = id)",
    coxph(Surv(tstart, tstop, state) ~ trt + sex, aml, id = id, control = control))
cox("cox_moves", "coxph(Surv(start, stop, to) ~ z + arm, moves, id = id, istate = from)",
    coxph(Surv(start, stop, to) ~ z + arm, moves, id = id, istate = from, control = control))
cox("cox_moves_cluster", "the same with cluster = site, weights = w, ties = 'breslow'",
    coxph(Surv(start, stop, to) ~ z + arm, moves, id = id, istate = from, cluster = site, weights = w,
          ties = "breslow", control = control))

occupation <- function(id, call, fit, at, tau, weight = 1) {
  s <- summary(fit, times = at, extend = TRUE)
  f <- survfit0(fit)
  m <- survival:::survmean2(f, rmean = tau)$matrix
  # survmean2 forgets the weights of the persons in the error
  area <- function(infl, time) apply(infl, 3, function(u) { keep <- time < tau; width <- diff(c(time[keep], tau)); u[, keep] %*% width })
  if (is.null(f$strata)) error <- sqrt(colSums((weight * area(fit$influence.pstate, f$time))^2))
  else { ends <- cumsum(f$strata); begin <- ends - f$strata + 1
    error <- c(t(sapply(seq_along(ends), function(g) sqrt(colSums(area(fit$influence.pstate[[g]], f$time[begin[g]:ends[g]])^2))))) }
  out[[id]] <<- list(call = call, times = at, states = fit$states, strata = if (is.null(s$strata)) NULL else as.character(s$strata),
    pstate = s$pstate, se = s$std.err, lower = s$lower, upper = s$upper, tau = tau, transitions = unclass(fit$transitions),
    n_event = colSums(matrix(fit$n.event, ncol = length(fit$states))), rmean = unname(m[, "rmean"]), rmean_se = unname(error))
}
occupation("aj_mgus", "survfit(Surv(tstart, tstop, state) ~ 1, mgus, id = id, influence = TRUE)",
  survfit(Surv(tstart, tstop, state) ~ 1, mgus, id = id, influence = TRUE), c(10, 60, 120, 240), 240)
occupation("aj_mgus_sex", "the same by sex",
  survfit(Surv(tstart, tstop, state) ~ sex, mgus, id = id, influence = TRUE), c(10, 60, 120, 240), 200)
occupation("aj_mgus_weights", "the same with weights 1 + id %% 3 / 2",
  survfit(Surv(tstart, tstop, state) ~ 1, mgus, id = id, weights = w, influence = TRUE), c(10, 60, 120, 240), 240,
  weight = 1 + sort(unique(mgus$id)) %% 3 / 2)
occupation("aj_mgus_loglog", "the same with conf.type = 'log-log'",
  survfit(Surv(tstart, tstop, state) ~ 1, mgus, id = id, conf.type = "log-log", influence = TRUE), c(10, 60, 120, 240), 240)
occupation("aj_myeloid", "survfit(Surv(tstart, tstop, state) ~ trt, myeloid_ms, id = id, influence = TRUE)",
  survfit(Surv(tstart, tstop, state) ~ trt, aml, id = id, influence = TRUE), c(50, 200, 600, 1500), 1000)
occupation("aj_moves", "survfit(Surv(start, stop, to) ~ 1, moves, id = id, istate = from, influence = TRUE)",
  survfit(Surv(start, stop, to) ~ 1, moves, id = id, istate = from, influence = TRUE), c(6, 10, 15), 16)
occupation("aj_moves_arm", "the same by arm",
  survfit(Surv(start, stop, to) ~ arm, moves, id = id, istate = from, influence = TRUE), c(6, 10, 15), 16)
occupation("aj_moves_weights", "the same without groups, with weights w",
  survfit(Surv(start, stop, to) ~ 1, moves, id = id, istate = from, weights = w, influence = TRUE), c(6, 10, 15), 16,
  weight = 1 + sort(unique(moves$id)) %% 4 / 2)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, na = "null", auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
