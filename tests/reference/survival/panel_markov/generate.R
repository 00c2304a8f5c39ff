# Reference numbers for tests/survival/test_panel_markov.py, from R's msm.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressPackageStartupMessages({library(msm); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
panel <- read.csv(file.path(folder, "panel.csv"))
q <- rbind(c(0, .2, 0, .04), c(.15, 0, .25, .06), c(0, .1, 0, .3), 0)
control <- list(fnscale = 4000, reltol = 1e-16, maxit = 100000)
out <- list()
out$packages <- list(R = as.character(getRversion()), msm = as.character(packageVersion("msm")))
keep <- function(id, call, fit) {
  table <- function(m) list(estimate = m$estimates, se = m$SE)
  means <- attr(fit$data$mf, "covmeans")
  new <- if (fit$qcmodel$ncovs == 0) NULL else list(arm = 1, x = 0.5)[names(fit$Qmatrices)[names(fit$Qmatrices) %in% c("arm", "x")]]
  Q <- qmatrix.msm(fit, covariates = "mean", ci = "delta")
  at <- if (is.null(new)) Q else qmatrix.msm(fit, covariates = new, ci = "delta")
  S <- if (is.null(new)) sojourn.msm(fit) else sojourn.msm(fit, covariates = new)
  N <- if (is.null(new)) pnext.msm(fit, ci = "delta") else pnext.msm(fit, covariates = new, ci = "delta")
  P <- if (is.null(new)) pmatrix.msm(fit, t = 2) else pmatrix.msm(fit, t = 2, covariates = new)
  L <- sapply(1:3, function(r) if (is.null(new)) totlos.msm(fit, start = r, tot = 5) else totlos.msm(fit, start = r, tot = 5, covariates = new))
  out[[id]] <<- list(call = call, minus2loglik = fit$minus2loglik, parameters = unname(fit$estimates[fit$paramdata$optpars]),
    names = names(fit$estimates[fit$paramdata$optpars]), se = unname(sqrt(diag(fit$covmat))[fit$paramdata$optpars]),
    means = unname(means), Q = table(Q), Q_new = table(at), sojourn = S$estimates, sojourn_se = S$SE, pnext = N$estimates,
    P2 = unname(unclass(P)), length_of_stay = unname(t(L)), statetable = unclass(statetable.msm(state, id, panel)))
}
alive <- subset(panel, state != 99)
keep("plain", "msm(state ~ years, subject = id, data = subset(panel, state != 99), qmatrix, deathexact = 4)",
     msm(state ~ years, subject = id, data = alive, qmatrix = q, deathexact = 4, control = control))
keep("interval", "the same without deathexact", msm(state ~ years, subject = id, data = alive, qmatrix = q, control = control))
keep("censored", "msm(..., data = panel, deathexact = 4, censor = 99, censor.states = 1:3)",
     msm(state ~ years, subject = id, data = panel, qmatrix = q, deathexact = 4, censor = 99, censor.states = 1:3, control = control))
keep("covariates", "the same with covariates = ~ arm + x",
     msm(state ~ years, subject = id, data = panel, qmatrix = q, deathexact = 4, censor = 99, censor.states = 1:3, covariates = ~ arm + x, control = control))
keep("by_transition", "the same with covariates = list('1-2' = ~ arm, '3-4' = ~ x)",
     msm(state ~ years, subject = id, data = panel, qmatrix = q, deathexact = 4, censor = 99, censor.states = 1:3,
           covariates = list("1-2" = ~ arm, "3-4" = ~ x), control = control))
keep("shared", "the same with covariates = ~ arm, constraint = list(arm = c(1, 2, 3, 4, 2, 5, 2))",
     msm(state ~ years, subject = id, data = panel, qmatrix = q, deathexact = 4, censor = 99, censor.states = 1:3,
           covariates = ~ arm, constraint = list(arm = c(1, 2, 3, 4, 2, 5, 2)), control = control))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, na = "null", auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
