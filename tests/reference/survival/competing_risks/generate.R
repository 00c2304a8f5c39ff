# Reference numbers for tests/survival/test_fine_gray.py and test_cause_specific.py, from R's cmprsk, survival and
# riskRegression.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressMessages({library(cmprsk); library(survival); library(prodlim); library(riskRegression); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
mgus2 <- data("mgus2_cr"); pbc <- data("pbc")
mgus2$male <- as.numeric(mgus2$sex == "M")
mgus2$w <- 1 + mgus2$id %% 3 / 2
mgus2$untied <- mgus2$etime + seq_len(nrow(mgus2)) / 10000
mgus2$entry <- 6 * (mgus2$id %% 4)
mgus2 <- mgus2[!is.na(mgus2$hgb), ]
mgus2$state <- factor(mgus2$event, 0:2, c("censored", "pcm", "death"))
pbc$female <- as.numeric(pbc$sex == "f")
pbc$state <- factor(pbc$status, 0:2, c("censored", "transplant", "death"))
pbc$decade <- floor(pbc$age / 2)
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
out <- list()

# --- cmprsk::crr; covariates are centred so that its line search does not stop on rounding error
fit_crr <- function(id, call, d, time, event, x, cause, new, times, ...) {
  centre <- colMeans(d[, x])
  f <- crr(d[[time]], d[[event]], sweep(as.matrix(d[, x]), 2, centre), failcode = cause, gtol = 1e-15, maxiter = 30, ...)
  p <- predict(f, sweep(as.matrix(new[, x]), 2, centre))
  at <- findInterval(times, p[, 1])
  out[[id]] <<- list(call = call, coef = unname(f$coef), se = sqrt(diag(f$var)), var = f$var, model_se = sqrt(diag(f$invinf)),
    loglik = f$loglik, loglik_null = f$loglik.null, n = f$n, times = times, cif = t(p[at, -1]))
}
new <- data.frame(age = c(60, 75), male = c(1, 0), hgb = c(13, 12))
for (cause in 1:2)
  fit_crr(paste0("crr_mgus2_", cause), paste0("crr(etime, event, cbind(age, male, hgb), failcode = ", cause, ")"),
          mgus2, "etime", "event", c("age", "male", "hgb"), cause, new, c(60, 120, 240))
fit_crr("crr_cengroup", "the same, failcode = 1, cengroup = male", mgus2, "etime", "event", c("age", "male", "hgb"), 1, new,
        c(60, 120, 240), cengroup = mgus2$male)
newp <- data.frame(age = c(45, 60), female = c(1, 0), bili = c(1, 6), albumin = c(3.8, 3.1))
for (cause in 1:2)
  fit_crr(paste0("crr_pbc_", cause), paste0("crr(time, status, cbind(age, female, bili, albumin), failcode = ", cause, ")"),
          pbc, "time", "status", c("age", "female", "bili", "albumin"), cause, newp, c(700, 1500, 3000))

# --- survival::finegray and a weighted coxph, robust by person
fit_fg <- function(id, call, fg, formula, ties, new, times, cluster = "id") {
  expanded <<- transform(fg, unit = fg[[cluster]])  # survfit looks for the data by name
  f <- coxph(formula, expanded, weights = fgwt, cluster = unit, ties = ties, control = control)
  h <- summary(survfit(f, newdata = new, se.fit = FALSE), times = times)$cumhaz
  out[[id]] <<- list(call = call, coef = unname(coef(f)), se = unname(sqrt(diag(f$var))), model_se = unname(sqrt(diag(f$naive.var))),
    loglik = f$loglik, times = times, cif = unname(t(1 - exp(-h))))
}
rhs <- Surv(fgstart, fgstop, fgstatus) ~ age + male + hgb
late <- mgus2[mgus2$etime > mgus2$entry, ]
# two rows per person who is followed beyond 30 months; the haemoglobin of the second is one less
cut <- mgus2[mgus2$etime > 30, ]
first <- transform(cut, start = 0, stop = 30, state = factor("censored", levels(cut$state)))
second <- transform(cut, start = 30, stop = etime, hgb = hgb - 1)
rows <- rbind(first, second, transform(mgus2[mgus2$etime <= 30, ], start = 0, stop = etime))
for (ties in c("efron", "breslow")) {
  for (cause in c("pcm", "death"))
    fit_fg(paste0("finegray_mgus2_", cause, "_", ties), paste0("finegray(Surv(etime, state) ~ ., etype = ", cause, ")"),
           finegray(Surv(etime, state) ~ ., mgus2, etype = cause), rhs, ties, new, c(60, 120, 240))
  fit_fg(paste0("finegray_weights_", ties), "weights = w",
         finegray(Surv(etime, state) ~ ., mgus2, weights = w, etype = "pcm"), rhs, ties, new, c(60, 120, 240))
  fit_fg(paste0("finegray_entry_", ties), "Surv(entry, etime, state), id = id",
         finegray(Surv(entry, etime, state) ~ ., late, id = id, etype = "pcm"), rhs, ties, new, c(60, 120, 240))
  fit_fg(paste0("finegray_rows_", ties), "Surv(start, stop, state), id = id, two rows per person",
         finegray(Surv(start, stop, state) ~ ., rows, id = id, etype = "pcm"), rhs, ties, new, c(60, 120, 240))
  fit_fg(paste0("finegray_pbc_cluster_", ties), "finegray(Surv(time, state) ~ ., pbc, etype = death), cluster = floor(age / 2)",
         finegray(Surv(time, state) ~ age + female + bili + albumin + id + decade, pbc, etype = "death"),
         Surv(fgstart, fgstop, fgstatus) ~ age + female + bili + albumin, ties, newp, c(700, 1500, 3000), cluster = "decade")
}

# --- cause-specific Cox models and riskRegression's absolute risks
cox <- function(id, call, f) out[[id]] <<- list(call = call, coef = unname(coef(f)), se = unname(sqrt(diag(f$var))), loglik = f$loglik,
  n = f$n, nevent = f$nevent)
for (cause in 1:2) for (ties in c("efron", "breslow")) {
  cox(paste0("cox_pbc_", cause, "_", ties), paste0("coxph(Surv(time, status == ", cause, ") ~ age + female + bili + albumin)"),
      coxph(Surv(time, status == cause) ~ age + female + bili + albumin, pbc, ties = ties, control = control))
  cox(paste0("cox_mgus2_strata_", cause, "_", ties), paste0("coxph(Surv(etime, event == ", cause, ") ~ age + hgb + strata(sex), cluster = dxyr)"),
      coxph(Surv(etime, event == cause) ~ age + hgb + strata(sex), mgus2, cluster = dxyr, ties = ties, control = control))
}
risk <- function(id, call, f, new, times) for (cause in 1:2) for (limit in c(FALSE, TRUE)) {
  p <- predict(f, newdata = new, times = times, cause = cause, product.limit = limit, se = TRUE)
  out[[paste0(id, "_", cause, if (limit) "_product_limit")]] <<- list(call = call, times = times, estimate = p$absRisk, se = p$absRisk.se,
    lower = p$absRisk.lower, upper = p$absRisk.upper)
}
new$sex <- c("M", "F")
for (ties in c("efron", "breslow")) {
  risk(paste0("risk_tied_", ties), "CSC(Hist(etime, event) ~ age + male + hgb)",
       CSC(Hist(etime, event) ~ age + male + hgb, mgus2, ties = ties, control = control), new, c(60, 120, 240))
  risk(paste0("risk_untied_", ties), "CSC(Hist(untied, event) ~ age + male + hgb)",
       CSC(Hist(untied, event) ~ age + male + hgb, mgus2, ties = ties, control = control), new, c(60, 120, 240))
}
risk("risk_untied_strata", "CSC(Hist(untied, event) ~ age + hgb + strata(sex))",
     CSC(Hist(untied, event) ~ age + hgb + strata(sex), mgus2, control = control), new, c(60, 120, 240))

write(toJSON(out, digits = NA, pretty = TRUE), "expected.json")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
