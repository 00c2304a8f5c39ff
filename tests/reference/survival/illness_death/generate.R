# Reference numbers for tests/survival/test_illness_death.py, from R's msm and survival.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
# With constant hazards and exact deaths the model is a Markov model of panel data: who is alive and was not seen ill is
# healthy or ill (a censored state).
suppressPackageStartupMessages({library(survival); library(msm); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
d <- read.csv(file.path(folder, "onsets.csv"))
d$left <- as.numeric(d$left); d$right <- as.numeric(d$right); d$onset <- as.numeric(d$onset)
seen <- is.finite(d$right)
out <- list(packages = list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                            msm = as.character(packageVersion("msm"))))

at <- function(rows, time, state) data.frame(id = d$id[rows], time = time[rows], state = state[rows])
n <- nrow(d); all <- rep(TRUE, n)
panel <- rbind(at(all, d$entry, rep(1, n)), at(d$left > d$entry, d$left, rep(1, n)), at(seen, d$right, rep(2, n)),
               at(all, d$time, ifelse(d$died == 1, 3, ifelse(seen, 2, 99))))
panel <- merge(panel, d[, c("id", "arm", "x")])
panel <- panel[order(panel$id, panel$time), ]
q <- rbind(c(0, 0.15, 0.06), c(0, 0, 0.2), c(0, 0, 0))

panel_model <- function(id, call, covariates) {
  fit <- function(qmatrix, covinits, ...)
    suppressWarnings(msm(state ~ time, subject = id, data = panel, qmatrix = qmatrix, deathexact = 3, censor = 99,
                         censor.states = c(1, 2), covariates = covariates, covinits = covinits, center = FALSE, ...))
  again <- function(f, ...)
    fit(qmatrix.msm(f, covariates = 0, ci = "none"),
        lapply(f$Qmatrices[setdiff(names(f$Qmatrices), c("baseline", "logbaseline"))],
               function(m) m[rbind(c(1, 2), c(1, 3), c(2, 3))]), ...)
  # nlm comes closest; the last call is there for its Hessian, from differences of the analytic gradient
  f <- fit(q, NULL, opt.method = "optim", control = list(reltol = 1e-14, maxit = 2000, fnscale = 3000))
  f <- again(f, opt.method = "nlm", gradtol = 1e-10, steptol = 1e-12, iterlim = 500)
  f <- again(f, opt.method = "optim", control = list(reltol = 1e-16, maxit = 2000, fnscale = 3000, ndeps = rep(1e-5, length(f$estimates))))
  est <- f$estimates
  out[[id]] <<- list(call = call, names = names(est), estimate = unname(est), std_error = unname(sqrt(diag(f$covmat))),
                     log_likelihood = -f$minus2loglik / 2)
  f
}
f <- panel_model("msm", "msm(state ~ time, qmatrix, deathexact = 3, censor = 99, covariates = ~ arm + x)", ~ arm + x)
p <- lapply(c(1, 3, 6), function(t) pmatrix.msm(f, t = t, t1 = 0, covariates = list(arm = 1, x = 0.5)))
out$msm$newdata <- list(arm = 1, x = 0.5)
out$msm$times <- c(1, 3, 6)
out$msm$probability <- list(healthy = sapply(p, function(m) m[1, 1]), ill = sapply(p, function(m) m[1, 2]),
                            dead = sapply(p, function(m) m[1, 3]), still_ill = sapply(p, function(m) m[2, 2]))
out$msm$life_expectancy <- unname(totlos.msm(f, tot = Inf, covariates = list(arm = 1, x = 0.5)))
out$msm$until_six <- unname(totlos.msm(f, fromt = 0, tot = 6, covariates = list(arm = 1, x = 0.5)))
panel_model("msm_null", "the same without covariates", ~ 1)

# onset known, nobody enters late: two Weibull models of the time healthy
e <- d[d$entry == 0, ]
e$healthy_end <- pmin(e$onset, e$time)
tight <- survreg.control(rel.tolerance = 1e-13, maxiter = 100)
weibull <- function(id, event) {
  f <- survreg(Surv(healthy_end, event) ~ arm + x, e, dist = "weibull", control = tight)
  shape <- 1 / f$scale
  b <- coef(f); v <- vcov(f)
  # proportional hazards: -b shape; the errors by the delta method, of log(scale) last
  j <- cbind(diag(-shape, 3)[2:3, ], b[2:3] * shape)
  out[[id]] <<- list(call = "survreg(Surv(healthy_end, event) ~ arm + x, dist = 'weibull'), entry == 0", shape = shape,
                     scale = unname(exp(b[1])), estimate = unname(-b[2:3] * shape),
                     std_error = unname(sqrt(diag(j %*% v %*% t(j)))), log_likelihood = f$loglik[2])
}
weibull("exact_ill", as.numeric(is.finite(e$onset)))
weibull("exact_dead", as.numeric(!is.finite(e$onset) & e$died == 1))

write_json(out, "expected.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
