# Reference numbers for tests/survival/test_cox_reference.py, from R's survival package.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
library(survival)
library(splines)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
lung <- data("lung"); veteran <- data("veteran"); pbc <- data("pbc"); mgus2 <- data("mgus2"); heart <- data("heart")
bladder2 <- data("bladder2"); infert <- data("infert"); rossi <- data("rossi"); kidney <- data("kidney")
nafld1 <- data("nafld1"); colon <- subset(data("colon"), etype == 2); rotterdam <- data("rotterdam")
lung$w <- 1 + (lung$age %% 3) / 2
rossi$w <- 1 + rossi$prio %% 3
heart$w <- 1 + (heart$id %% 4) / 3
mgus2$entry <- mgus2$age
mgus2$exit <- mgus2$age + mgus2$futime / 12 + 1e-9
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100)
out <- list()

test_table <- function(z) list(terms = rownames(z$table), chisq = unname(z$table[, "chisq"]),
                               df = unname(z$table[, "df"]), p = unname(z$table[, "p"]))
add <- function(id, call, fit, zph = c("km", "rank", "identity", "log"), resid = TRUE, extra = list()) {
  s <- summary(fit)
  value <- list(call = call, terms = names(coef(fit)), coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))),
    loglik = fit$loglik, score_test = fit$score, wald = unname(fit$wald.test), n = fit$n, nevent = fit$nevent,
    concordance = unname(s$concordance[1]), concordance_se = unname(s$concordance[2]),
    martingale = head(unname(residuals(fit)), 8), sum_abs_martingale = sum(abs(residuals(fit))),
    sum_sq_deviance = sum(residuals(fit, "deviance")^2))
  for (t in zph) value[[paste0("zph_", t)]] <- test_table(cox.zph(fit, transform = t))
  if (resid) for (r in c("score", "dfbeta", "dfbetas", "schoenfeld", "scaledsch")) {
    m <- as.matrix(residuals(fit, r))
    value[[r]] <- unname(m[1:4, , drop = FALSE])
    value[[paste0("sum_abs_", r)]] <- unname(colSums(abs(m)))
  }
  out[[id]] <<- c(value, extra)
  message(id)
}
for (ties in c("efron", "breslow")) {
  add(paste0("veteran_", ties), "Surv(time, status) ~ trt + karno + factor(celltype)",
      coxph(Surv(time, status) ~ trt + karno + factor(celltype), veteran, ties = ties, control = control))
  add(paste0("lung_strata_", ties), "Surv(time, status) ~ age + ph.ecog, strata sex",
      coxph(Surv(time, status) ~ age + ph.ecog + strata(sex), lung, ties = ties, control = control))
  add(paste0("lung_weights_", ties), "Surv(time, status) ~ age + sex, weights w, robust",
      coxph(Surv(time, status) ~ age + sex, lung, weights = w, robust = TRUE, ties = ties, control = control))
  add(paste0("heart_weights_", ties), "Surv(start, stop, event) ~ age + year + transplant, weights w, cluster id",
      coxph(Surv(start, stop, event) ~ age + year + transplant, heart, weights = w, cluster = id, ties = ties,
            control = control))
  add(paste0("bladder_", ties), "Surv(start, stop, event) ~ rx + size + number, strata enum, cluster id",
      coxph(Surv(start, stop, event) ~ rx + size + number + strata(enum), bladder2, cluster = id, ties = ties,
            control = control))
  add(paste0("mgus2_age_", ties), "Surv(entry, exit, death) ~ sex + hgb + creat",
      coxph(Surv(entry, exit, death) ~ sex + hgb + creat, mgus2, ties = ties, control = control))
}
for (formula in c("trt + karno + factor(celltype)", "karno + age + prior")) {
  add(paste0("veteran_exact_", nchar(formula)), paste("Surv(time, status) ~", formula, "exact"),
      coxph(as.formula(paste("Surv(time, status) ~", formula)), veteran, ties = "exact", control = control),
      zph = "km", resid = FALSE)
}
add("rossi_exact_strata", "Surv(week, arrest) ~ fin + age + prio, strata race, exact",
    coxph(Surv(week, arrest) ~ fin + age + prio + strata(race), rossi, ties = "exact", control = control),
    zph = character(), resid = FALSE)
add("infert_exact", "conditional logistic",
    coxph(Surv(rep(1, nrow(infert)), case) ~ spontaneous + induced + strata(stratum), infert, ties = "exact",
          control = control), zph = character(), resid = FALSE)
add("nafld", "Surv(futime, status) ~ age + male + weight + height, first 4000 rows",
    coxph(Surv(futime, status) ~ age + male + weight + height, head(nafld1, 4000), control = control), resid = FALSE)
add("rotterdam_ns", "Surv(dtime, death) ~ ns(age, 3) + factor(grade) + bs(nodes, 4)",
    coxph(Surv(dtime, death) ~ ns(age, df = 3) + factor(grade) + bs(nodes, df = 4), rotterdam, control = control))

fit0 <- coxph(Surv(time, status) ~ age, lung, subset = !is.na(ph.ecog), control = control)
fit1 <- coxph(Surv(time, status) ~ age + sex + factor(ph.ecog), lung, subset = !is.na(ph.ecog), control = control)
a2 <- anova(fit0, fit1); a1 <- anova(fit1)
out$anova <- list(two = list(chisq = a2[2, 2], df = a2[2, 3], p = a2[2, 4]),
  one = list(loglik = a1[, 1], chisq = a1[-1, 2], df = a1[-1, 3], p = a1[-1, 4]))
ridge <- coxph(Surv(time, status) ~ ridge(age, ph.karno, theta = 3, scale = FALSE) + strata(sex), lung,
               control = control, x = TRUE)
out$ridge_strata <- list(coef = unname(coef(ridge)), var = unname(sqrt(diag(ridge$var))),
  var2 = unname(sqrt(diag(ridge$var2))), df = sum(ridge$df), loglik = ridge$loglik)
tt <- coxph(Surv(time, status) ~ trt + karno + tt(karno), veteran, control = control,
            tt = function(x, t, ...) x * log(t + 20))
tt_strata <- coxph(Surv(time, status) ~ age + strata(celltype) + karno + tt(karno), veteran, ties = "breslow",
                   control = control, tt = function(x, t, ...) x * (t > 100))
for (n in c("tt", "tt_strata")) {
  f <- get(n)
  out[[n]] <- list(terms = names(coef(f)), coef = unname(coef(f)), se = unname(sqrt(diag(vcov(f)))), loglik = f$loglik)
}
new <- data.frame(age = c(50, 65), sex = c(1, 2), ph.ecog = c(0, 2), start = 0)
curves <- function(fit, new, times, ...) {
  s <- summary(survfit(fit, newdata = new, ...), times = times, extend = TRUE)
  list(times = times, surv = t(s$surv), se = t(s$std.err), lower = t(s$lower), upper = t(s$upper), cumhaz = t(s$cumhaz))
}
times <- c(50, 180, 365, 730)
f <- coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, weights = w, robust = TRUE, control = control)
out$predict_weights <- c(curves(f, new, times), lapply(predict(f, new, se.fit = TRUE), unname))
fe <- coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, ties = "exact", control = control)
out$predict_exact <- c(curves(fe, new, times), lapply(predict(fe, new, se.fit = TRUE), unname))
fh <- coxph(Surv(start, stop, event) ~ age + year, heart, cluster = id, control = control)
out$predict_heart <- curves(fh, data.frame(age = c(-10, 5), year = c(1, 4)), c(10, 100, 500))
fm <- coxph(Surv(time, status) ~ age + sex + ph.ecog, lung, control = control)
sm <- survfit(fm, newdata = new)
q <- quantile(sm, 0.5)
out$predict_median <- list(median = as.vector(q$quantile), lower = as.vector(q$lower), upper = as.vector(q$upper),
  rmst500 = unname(summary(sm, rmean = 500)$table[, 5]))
nd <- data.frame(age = c(60, 70), trt = c(1, 2), o = c(-1.8, -2.4))
veteran$o <- -0.03 * veteran$karno
fo <- coxph(Surv(time, status) ~ age + trt + offset(o), veteran, control = control)
out$predict_offset <- c(curves(fo, nd, c(30, 100, 200)), list(lp = unname(predict(fo, nd))))
out$basehaz <- list(
  centered = tail(basehaz(fm, centered = TRUE)$hazard, 3), zero = tail(basehaz(fm, centered = FALSE)$hazard, 3))
out$collapse <- list(martingale = head(unname(residuals(fh, collapse = heart$id)), 6),
  dfbeta = unname(head(residuals(fh, "dfbeta", collapse = heart$id), 4)))
write_json(out, "expected.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
