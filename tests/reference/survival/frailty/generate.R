# Reference numbers for tests/survival/test_frailty.py, from R's survival package.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
kidney <- data("kidney"); cgd <- data("cgd"); diabetic <- data("diabetic"); lung <- data("lung")
kidney$w <- 1 + kidney$age %% 3
# The inner iterations take the Hessian of the frailties for diagonal and so converge slowly: many of them.
control <- coxph.control(eps = 1e-15, iter.max = 400, outer.max = 100, toler.chol = 1e-16)
out <- list()

case <- function(id, call) {
  fit <- suppressWarnings(eval(call))
  h <- fit$history[[1]]
  p <- length(coef(fit)) - if (is.null(fit$frail)) length(grep("^(gamma|gauss):", names(coef(fit)))) else 0
  keep <- seq_len(p)
  sparse <- !is.null(fit$frail)
  frail <- if (sparse) fit$frail else unname(coef(fit)[-keep])
  fvar <- if (sparse) fit$fvar else diag(fit$var)[-keep]
  list(call = paste(deparse(call, width.cutoff = 500), collapse = ""), terms = names(coef(fit))[keep],
    coef = unname(coef(fit)[keep]), var = if (p) fit$var[keep, keep] else NULL, var2 = if (p) fit$var2[keep, keep] else NULL,
    # the last theta of the history is that of the fit
    theta = if (is.null(h$history)) h$theta else unname(h$history[nrow(h$history), 1]), c_loglik = h$c.loglik,
    loglik = fit$loglik, df = fit$df, frail = unname(frail), fvar = unname(fvar), n = fit$n, nevent = fit$nevent,
    aic = AIC(fit), bic = BIC(fit), lr = if (sparse) summary(fit)$logtest[["test"]] else NULL)
}
add <- function(id, call) out[[id]] <<- case(id, substitute(call))

for (ties in c("efron", "breslow")) {
  add(paste0("kidney_gamma_fixed_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.6), kidney, ties = ties, control = control))
  add(paste0("kidney_gauss_fixed_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, theta = 0.6), kidney, ties = ties, control = control))
  add(paste0("kidney_gauss_fixed_dense_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, theta = 0.6, sparse = FALSE), kidney, ties = ties, control = control))
  add(paste0("kidney_gamma_fixed_dense_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.6, sparse = FALSE), kidney, ties = ties, control = control))
  add(paste0("kidney_factor_fixed_", ties),
      coxph(Surv(time, status) ~ age + factor(disease) + frailty(id, theta = 1), kidney, ties = ties, control = control))
  # with weights R's sparse Hessian comes out singular and its coefficients missing: only the dense one is used
  add(paste0("kidney_gauss_weights_fixed_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, theta = 0.6, sparse = FALSE), kidney, weights = w, ties = ties, control = control))
  add(paste0("kidney_gamma_weights_fixed_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.6, sparse = FALSE), kidney, weights = w, ties = ties, control = control))
  add(paste0("cgd_gamma_fixed_", ties),
      coxph(Surv(tstart, tstop, status) ~ treat + age + steroids + frailty(id, theta = 0.9), cgd, ties = ties, control = control))
  add(paste0("cgd_strata_gauss_fixed_", ties),
      coxph(Surv(tstart, tstop, status) ~ treat + age + strata(inherit) + frailty.gaussian(center, theta = 0.4), cgd, ties = ties, control = control))
  add(paste0("cgd_strata_gamma_fixed_", ties),
      coxph(Surv(tstart, tstop, status) ~ treat + age + strata(enum) + frailty(id, theta = 0.4), cgd, ties = ties, control = control))
  add(paste0("diabetic_strata_gamma_fixed_", ties),
      coxph(Surv(time, status) ~ trt + risk + strata(eye) + frailty(id, theta = 1), diabetic, ties = ties, control = control))
  add(paste0("lung_offset_few_fixed_", ties),
      coxph(Surv(time, status) ~ age + offset(wt.loss / 50) + frailty.gaussian(ph.ecog, theta = 0.3), lung, ties = ties, control = control))
  add(paste0("kidney_only_frailty_", ties),
      coxph(Surv(time, status) ~ frailty(id, theta = 0.5), kidney, ties = ties, control = control))
  # estimated variances
  add(paste0("kidney_gamma_em_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty(id, eps = 1e-14), kidney, ties = ties, control = control))
  add(paste0("kidney_gauss_reml_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, eps = 1e-8), kidney, ties = ties, control = control))
  add(paste0("kidney_gauss_reml_dense_", ties),
      coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id, eps = 1e-8, sparse = FALSE), kidney, ties = ties, control = control))
  add(paste0("cgd_gamma_em_", ties),
      coxph(Surv(tstart, tstop, status) ~ treat + age + frailty(id, eps = 1e-14), cgd, ties = ties, control = control))
  add(paste0("cgd_gauss_reml_", ties),
      coxph(Surv(tstart, tstop, status) ~ treat + age + frailty.gaussian(id, eps = 1e-8), cgd, ties = ties, control = control))
  add(paste0("diabetic_gamma_em_", ties),
      coxph(Surv(time, status) ~ trt + risk + frailty(id, eps = 1e-14), diabetic, ties = ties, control = control))
  add(paste0("diabetic_gauss_reml_", ties),
      coxph(Surv(time, status) ~ trt + risk + frailty.gaussian(id, eps = 1e-8), diabetic, ties = ties, control = control))
}
new <- data.frame(age = c(30, 50), sex = c(1, 2))
fit <- coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.6), kidney, control = control)
p <- predict(fit, new, se.fit = TRUE)
out$kidney_predict <- list(call = "predict(coxph(Surv(time, status) ~ age + sex + frailty(id, theta = 0.6), kidney), new, se.fit = TRUE)",
  lp = unname(p$fit), se = unname(p$se.fit), lp_rows = unname(fit$linear.predictors), means = unname(fit$means))
# As they come, with R's own stopping rules
as_is <- function(call, fit) list(call = call, coef = unname(coef(fit)), se = unname(sqrt(diag(fit$var))), loglik = fit$loglik,
  theta = unname(tail(fit$history[[1]]$history[, 1], 1)), df = fit$df, c_loglik = fit$history[[1]]$c.loglik)
out$reference_gamma <- as_is("coxph(Surv(time, status) ~ age + sex + frailty(id), kidney)",
  coxph(Surv(time, status) ~ age + sex + frailty(id), kidney))
out$reference_gauss <- as_is("coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id), kidney)",
  coxph(Surv(time, status) ~ age + sex + frailty.gaussian(id), kidney))
# coxme 2.2-22 on the same data; that package was not at hand when this file was last run
out$reference_coxme <- list(call = "coxme(Surv(time, status) ~ age + sex + (1 | id), kidney)",
  coef = c(0.00428920043621531, -1.35498527011088), se = c(0.0117104135626597, 0.417125385512739),
  var = 0.456229187087069, loglik = c(-187.902761588864, -181.904524958191, -173.0692671617))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(list(package = paste("survival", packageVersion("survival")), r = R.version.string, cases = out),
  file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE, null = "null")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
