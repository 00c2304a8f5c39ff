# Reference numbers for tests/survival, from R's survival package.
#   python make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
lung <- data("lung"); heart <- data("heart"); recur <- data("recur"); rossi <- data("rossi"); larynx <- data("larynx")
lung$w <- 1 + (lung$age %% 3) / 2
rossi$w <- 1 + rossi$prio %% 3
rossi$o <- 0.05 * rossi$prio
heart$w <- 1 + (heart$id %% 4) / 3
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
out <- list()

cox <- function(id, call, fit) {
  conc <- concordance(fit)
  s <- summary(fit)
  out[[id]] <<- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    naive_se = unname(sqrt(diag(if (is.null(fit$naive.var)) fit$var else fit$naive.var))),
    statistic = unname(coef(fit) / sqrt(diag(vcov(fit)))),
    loglik = fit$loglik, n = fit$n, nevent = fit$nevent, score = fit$score, wald = unname(fit$wald.test),
    aic = AIC(fit), bic = BIC(fit), concordance = unname(conc$concordance), concordance_se = unname(sqrt(conc$var)))
}
for (ties in c("efron", "breslow")) {
  cox(paste0("lung_", ties), "Surv(time, status) ~ age + sex + ph.ecog",
      coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, ties = ties, control = control))
  cox(paste0("lung_strata_", ties), "Surv(time, status) ~ age + ph.ecog, strata = sex",
      coxph(Surv(time, status) ~ age + ph.ecog + strata(sex), lung, ties = ties, control = control))
  cox(paste0("lung_weights_robust_", ties), "Surv(time, status) ~ age + sex, weights = w, robust = TRUE",
      coxph(Surv(time, status) ~ age + sex, lung, weights = w, robust = TRUE, ties = ties, control = control))
  cox(paste0("lung_robust_", ties), "Surv(time, status) ~ age + sex, robust = TRUE",
      coxph(Surv(time, status) ~ age + sex, lung, robust = TRUE, ties = ties, control = control))
  cox(paste0("lung_cluster_", ties), "Surv(time, status) ~ age + sex, cluster = inst",
      coxph(Surv(time, status) ~ age + sex, lung, cluster = inst, ties = ties, control = control))
  cox(paste0("heart_", ties), "Surv(start, stop, event) ~ age + year + surgery + transplant",
      coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart, ties = ties, control = control))
  cox(paste0("heart_weights_cluster_", ties), "Surv(start, stop, event) ~ age + year, weights = w, cluster = id, strata = surgery",
      coxph(Surv(start, stop, event) ~ age + year + strata(surgery), heart, weights = w, cluster = id, ties = ties, control = control))
  cox(paste0("recur_cluster_", ties), "Surv(TIME0, TIME1, CENSOR) ~ AGE + TREAT, cluster = ID",
      coxph(Surv(TIME0, TIME1, CENSOR) ~ AGE + TREAT, recur, cluster = ID, ties = ties, control = control))
  cox(paste0("rossi_weights_", ties), "Surv(week, arrest) ~ fin + age + prio, weights = w",
      coxph(Surv(week, arrest) ~ fin + age + prio, rossi, weights = w, ties = ties, control = control))
  cox(paste0("rossi_offset_", ties), "Surv(week, arrest) ~ fin + age, offset = o",
      coxph(Surv(week, arrest) ~ fin + age + offset(o), rossi, ties = ties, control = control))
}
fit <- coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, control = control)
lp <- fit$linear.predictors
u <- concordance(fit, timewt = "n/G2")
out$lung_uno <- list(concordance = unname(u$concordance), se = unname(sqrt(u$var)))

new <- data.frame(age = c(60, 70), sex = c(1, 2), ph.ecog = c(1, 2))
for (ties in c("efron", "breslow")) {
  fit <- coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, ties = ties, control = control)
  s <- summary(survfit(fit, newdata = new), times = c(100, 365, 730))
  out[[paste0("lung_predict_", ties)]] <- list(times = s$time, surv = t(s$surv), se = t(s$std.err), lower = t(s$lower), upper = t(s$upper),
    cumhaz = t(s$cumhaz), lp = unname(predict(fit, new)), lp_se = unname(predict(fit, new, se.fit = TRUE)$se.fit))
}
fit <- coxph(Surv(time, status) ~ age + ph.ecog + strata(sex), lung, control = control)
s <- summary(survfit(fit, newdata = new), times = c(100, 365, 730))
out$lung_predict_strata <- list(times = c(100, 365, 730), surv = matrix(s$surv, nrow = 2, byrow = TRUE), se = matrix(s$std.err, nrow = 2, byrow = TRUE),
  lp = unname(predict(fit, new)), lp_se = unname(predict(fit, new, se.fit = TRUE)$se.fit))

km <- function(id, fit, times) {
  s <- summary(fit, times = times)
  q <- quantile(fit, 0.5)
  out[[id]] <<- list(times = times, n_risk = s$n.risk, surv = s$surv, se = s$std.err, lower = s$lower, upper = s$upper,
    median = unname(q$quantile), median_lower = unname(q$lower), median_upper = unname(q$upper))
}
times <- c(100, 250, 500, 750)
for (type in c("plain", "log", "log-log", "logit", "arcsin"))
  km(paste0("km_lung_", type), survfit(Surv(time, status) ~ 1, lung, conf.type = type), times)
km("km_lung_sex", survfit(Surv(time, status) ~ sex, lung), times)
km("km_lung_weighted", survfit(Surv(time, status) ~ 1, lung, weights = w), times)
km("km_lung_weighted_greenwood", survfit(Surv(time, status) ~ 1, lung, weights = w, robust = FALSE), times)
km("km_heart_entry", survfit(Surv(start, stop, event) ~ 1, heart), c(50, 200, 500))
heart$row <- seq_len(nrow(heart))
km("km_heart_entry_weighted", survfit(Surv(start, stop, event) ~ 1, heart, weights = w, id = row, robust = TRUE), c(50, 200, 500))

test <- function(id, fit) out[[id]] <<- list(chisq = fit$chisq, df = sum(if (is.matrix(fit$exp)) rowSums(fit$exp) > 0 else fit$exp > 0) - 1)
test("logrank_lung", survdiff(Surv(time, status) ~ sex, lung))
test("logrank_lung_rho1", survdiff(Surv(time, status) ~ sex, lung, rho = 1))
test("logrank_lung_strata", survdiff(Surv(time, status) ~ sex + strata(ph.ecog), lung))
test("logrank_lung_ecog", survdiff(Surv(time, status) ~ ph.ecog, lung))

# Inverse-probability weighting: Hernan & Robins' propensity model on NHEFS
nhefs <- data("nhefs")
nhefs$survtime <- ifelse(nhefs$death == 1, (nhefs$yrdth - 83) * 12 + nhefs$modth, 120)
form <- qsmk ~ sex + race + age + I(age^2) + factor(education) + smokeintensity + I(smokeintensity^2) + smokeyrs +
  I(smokeyrs^2) + factor(exercise) + factor(active) + wt71 + I(wt71^2)
weights_of <- function(p, a, estimand) switch(estimand,
  ATE = ifelse(a == 1, 1 / p, 1 / (1 - p)), ATT = ifelse(a == 1, 1, p / (1 - p)), ATO = ifelse(a == 1, 1 - p, p))
for (estimand in c("ATE", "ATT", "ATO")) {
  p <- fitted(glm(form, binomial, nhefs, control = glm.control(epsilon = 1e-15, maxit = 100)))
  nhefs$w <- weights_of(p, nhefs$qsmk, estimand)
  cox(paste0("nhefs_cox_", estimand), "Surv(survtime, death) ~ qsmk, weights = w, robust = TRUE",
      coxph(Surv(survtime, death) ~ qsmk, nhefs, weights = w, robust = TRUE, control = control))
  out[[paste0("nhefs_cox_", estimand)]]$weight_sum <- sum(nhefs$w)
  known <- subset(nhefs, !is.na(wt82_71))
  p <- fitted(glm(form, binomial, known, control = glm.control(epsilon = 1e-15, maxit = 100)))
  w <- weights_of(p, known$qsmk, estimand)
  x <- cbind(1, known$qsmk)
  bread <- solve(crossprod(x, w * x))
  b <- bread %*% crossprod(x, w * known$wt82_71)
  r <- drop(known$wt82_71 - x %*% b)
  v <- bread %*% crossprod(x * w * r) %*% bread
  out[[paste0("nhefs_mean_", estimand)]] <- list(estimate = b[2], se_hc0 = sqrt(v[2, 2]), n = nrow(known))
}
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
