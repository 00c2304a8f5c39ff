# Reference numbers for tests/survival/evaluation/test_{calibration,decision_curve,reclassification,delong,royston_d}.py.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. Needs survival, cmprsk, rms, Hmisc, pROC, geepack, jsonlite.
suppressMessages({library(survival); library(cmprsk); library(rms); library(Hmisc); library(pROC); library(geepack); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
pbc <- data("pbc"); lung <- data("lung"); mgus2 <- data("mgus2_cr"); nhefs <- data("nhefs"); rotterdam <- data("rotterdam")
out <- list()
add <- function(id, call, package, ...) out[[id]] <<- list(call = call, package = paste(package, packageVersion(package)), ...)
tight <- glm.control(1e-15, 100); precise <- coxph.control(eps = 1e-14, toler.chol = 1e-14, iter.max = 100)

# --- binary outcome: death by day 2000 among rows with known status
known <- pbc[pbc$time >= 2000 | pbc$status == 2, ]
known$y <- as.numeric(known$status == 2 & known$time <= 2000)
known$p1 <- fitted(glm(y ~ age, binomial, known, control = tight))
known$p2 <- fitted(glm(y ~ age + log(bili), binomial, known, control = tight))
metrics <- function(obs, p) { e <- abs(obs - p); c(mean(e), median(e), unname(quantile(e, .9)), max(e)) }
smooth <- function(p, y) { f <- loess(y ~ p, data.frame(y, p)); metrics(fitted(f), p) }
weak <- function(p, y) {
  a <- glm(y ~ 1, offset = qlogis(p), family = binomial, control = tight); b <- glm(y ~ qlogis(p), family = binomial, control = tight)
  list(intercept = c(coef(a), sqrt(vcov(a))), slope = c(coef(b)[2], sqrt(vcov(b)[2, 2])), brier = mean((y - p)^2))
}
shrunk <- plogis(0.3 + 0.6 * qlogis(known$p2))
tied <- round(known$p1, 1)
for (id in c("p1", "p2", "shrunk", "tied")) {
  p <- switch(id, p1 = known$p1, p2 = known$p2, shrunk = shrunk, tied = tied)
  add(paste0("binary_", id), "loess(y ~ p); glm(y ~ offset(qlogis(p))); glm(y ~ qlogis(p))", "stats", distances = smooth(p, known$y), weak = weak(p, known$y))
}
v <- val.prob(shrunk, known$y, pl = FALSE)
add("val_prob", "val.prob(shrunk, y)", "rms", slope = unname(v["Slope"]), brier = unname(v["Brier"]), auc = unname(v["C (ROC)"]))
f <- lrm(y ~ rcs(qlogis(shrunk), 4), known, eps = 1e-12); o <- unname(plogis(predict(f)))
add("binary_rcs", "lrm(y ~ rcs(qlogis(p), 4))", "rms", distances = metrics(o, shrunk))

# --- DeLong
roc2 <- function(id, y, a, b, call) {
  ra <- roc(y, a, quiet = TRUE, direction = "<"); rb <- roc(y, b, quiet = TRUE, direction = "<"); t <- roc.test(ra, rb, method = "delong", paired = TRUE)
  add(id, call, "pROC", area = c(as.numeric(auc(ra)), as.numeric(auc(rb))), variance = c(var(ra), var(rb)), covariance = cov(ra, rb), z = unname(t$statistic), pvalue = t$p.value)
}
roc2("delong_pbc", known$y, known$bili, -known$albumin, "roc.test(roc(y, bili), roc(y, -albumin))")
roc2("delong_ties", known$y, known$edema, round(known$age / 10), "roc.test(roc(y, edema), roc(y, round(age / 10)))")
nh <- nhefs[!is.na(nhefs$wt82), ]
roc2("delong_nhefs", nh$death, nh$age, nh$smokeyrs, "roc.test(roc(death, age), roc(death, smokeyrs))")

# --- reclassification
imp <- function(a, b, y) { r <- improveProb(a, b, y); c(r$nri, r$se.nri, r$nri.ev, r$se.nri.ev, r$nri.ne, r$se.nri.ne, r$idi, r$se.idi, r$z.nri, r$z.idi, r$improveSens, r$improveSpec) }
add("improve_pbc", "improveProb(p1, p2, y)", "Hmisc", values = imp(known$p1, known$p2, known$y))
add("improve_tied", "improveProb(round(p1, 1), round(p2, 1), y)", "Hmisc", values = imp(round(known$p1, 1), round(known$p2, 1), known$y))
cutp <- function(p) as.numeric(cut(p, c(0, .2, .4, 1), right = FALSE, include.lowest = TRUE)) / 10
add("improve_categories", "improveProb of categories cut at 0.2, 0.4", "Hmisc", values = imp(cutp(known$p1), cutp(known$p2), known$y))

# --- survival: Cox models of pbc
t0 <- 2000
full <- coxph(Surv(time, status == 2) ~ age + log(bili), pbc, control = precise); age <- coxph(Surv(time, status == 2) ~ age, pbc, control = precise)
risk <- function(f, d, t) 1 - as.numeric(summary(survfit(f, d), times = t)$surv)
r1 <- risk(age, pbc, t0); r2 <- risk(full, pbc, t0)
km <- function(d, e, t) { f <- survfit(Surv(d, e) ~ 1, robust = TRUE); s <- summary(f, times = t, extend = TRUE); c(1 - s$surv, s$std.err) }
nb <- function(p, pt) { x <- p >= pt; if (!any(x)) return(0); fr <- km(pbc$time[x], pbc$status[x] == 2, t0)[1]; mean(x) * (fr - (1 - fr) * pt / (1 - pt)) }
add("decision_survival", "survfit among rows with risk >= pt", "survival", thresholds = c(.05, .1, .2, .3, .5), full = sapply(c(.05, .1, .2, .3, .5), nb, p = r2), age = sapply(c(.05, .1, .2, .3, .5), nb, p = r1))
nbb <- function(p, pt) { x <- p >= pt; mean(x & known$y == 1) - mean(x & known$y == 0) * pt / (1 - pt) }
add("decision_binary", "mean(y & p >= pt) - mean(!y & p >= pt) * pt / (1 - pt)", "base", thresholds = c(.1, .2, .3), p1 = sapply(c(.1, .2, .3), nbb, p = known$p1), p2 = sapply(c(.1, .2, .3), nbb, p = known$p2))
calhaz <- function(p, time, event, t, k) {
  x <- if (k == 2) cbind(log(-log(1 - p))) else rcspline.eval(log(-log(1 - p)), nk = k, inclx = TRUE)
  f <- coxph(Surv(time, event) ~ x, control = precise); b <- basehaz(f, centered = FALSE)
  h <- b$hazard[findInterval(t, b$time)]; o <- 1 - exp(-h * exp(drop(x %*% coef(f)))); metrics(o, p)
}
pseudo_weak <- function(theta, p) {
  d <- data.frame(theta, x = log(-log(1 - p)), id = seq_along(p)); e <- list(epsilon = 1e-12, maxit = 500)
  ctl <- geese.control(epsilon = 1e-12, maxit = 500)
  a <- geese(theta ~ 1 + offset(x), id = id, data = d, family = gaussian, mean.link = "cloglog", corstr = "independence", scale.fix = TRUE, control = ctl, b = 0)
  s <- geese(theta ~ x, id = id, data = d, family = gaussian, mean.link = "cloglog", corstr = "independence", scale.fix = TRUE, control = ctl, b = c(0, 1))
  list(intercept = c(a$beta, sqrt(a$vbeta)), slope = c(s$beta[2], sqrt(s$vbeta[2, 2])))
}
calpseudo <- function(theta, p, k) {
  x <- rcspline.eval(log(-log(1 - p)), nk = k, inclx = TRUE); d <- data.frame(theta, x, id = seq_along(p))
  f <- geese(reformulate(setdiff(names(d), c("theta", "id")), "theta"), id = id, data = d, family = gaussian, mean.link = "cloglog", corstr = "independence", scale.fix = TRUE, control = geese.control(epsilon = 1e-12, maxit = 500), b = c(0, 1, rep(0, k - 2)))
  metrics(1 - exp(-exp(drop(cbind(1, x) %*% f$beta))), p)
}
theta <- 1 - as.numeric(pseudo(survfit(Surv(time, status == 2) ~ 1, pbc), times = t0))
oe <- function(theta, p) { r <- mean(theta) / mean(p); c(r, sqrt(mean((theta - r * p)^2) / length(p)) / mean(p)) }
for (id in c("age", "full")) {
  p <- if (id == "age") r1 else r2
  add(paste0("survival_", id), "coxph(Surv ~ rcs(cloglog p, k)); geese(pseudo ~ cloglog p)", "survival",
    hazard3 = calhaz(p, pbc$time, pbc$status == 2, t0, 3), hazard5 = calhaz(p, pbc$time, pbc$status == 2, t0, 5), hazard2 = calhaz(p, pbc$time, pbc$status == 2, t0, 2),
    pseudo3 = calpseudo(theta, p, 3), weak = pseudo_weak(theta, p), oe = oe(theta, p))
}

# --- competing risks: progression of mgus2 by month 120, death first
mg <- mgus2[complete.cases(mgus2[c("age", "sex", "mspike")]), ]
x <- cbind(mg$age, mg$mspike); fg <- crr(mg$etime, mg$event, x, failcode = 1, gtol = 1e-12)
jump <- function(f, x, t) { u <- f$uftime <= t; 1 - exp(-sum(f$bfitj[u]) * exp(drop(x %*% f$coef))) }
pc <- jump(fg, x, 120)
y <- rcspline.eval(log(-log(1 - pc)), nk = 4, inclx = TRUE); fs <- crr(mg$etime, mg$event, y, failcode = 1, gtol = 1e-12)
aj <- survfit(Surv(etime, factor(event)) ~ 1, mg, id = seq_len(nrow(mg)), robust = TRUE)
tc <- as.numeric(pseudo(aj, times = 120)[, 2])
add("competing", "crr of rcs(cloglog p, 4); geese(pseudo ~ cloglog p)", "cmprsk", hazard4 = metrics(jump(fs, y, 120), pc), pseudo4 = calpseudo(tc, pc, 4), weak = pseudo_weak(tc, pc), oe = oe(tc, pc))
nbc <- function(pt) { z <- pc >= pt; if (!any(z)) return(0); a <- summary(survfit(Surv(etime, factor(event)) ~ 1, mg[z, ]), times = 120); mean(z) * (a$pstate[2] - (1 - a$pstate[2]) * pt / (1 - pt)) }
add("decision_competing", "survfit(Surv(etime, factor(event)) ~ 1) among rows with risk >= pt", "survival", thresholds = c(.05, .08, .1, .15), fg = sapply(c(.05, .08, .1, .15), nbc))

# --- Royston's D
ro <- function(id, call, ...) { v <- royston(...); add(id, call, "survival", values = as.list(v)) }
three <- coxph(Surv(time, status == 2) ~ age + log(bili) + edema, pbc, control = precise)
ro("royston_pbc", "royston(coxph(Surv(time, status == 2) ~ age + log(bili) + edema, pbc))", three)
ro("royston_adjusted", "royston(fit, adjust = TRUE)", three, adjust = TRUE)
ties <- coxph(Surv(time, status) ~ sex + ph.ecog, lung, control = precise)
ro("royston_ties", "royston(coxph(Surv(time, status) ~ sex + ph.ecog, lung))", ties)
ro("royston_mean_rank", "royston(fit, ties = FALSE)", ties, ties = FALSE)
ro("royston_new", "royston(coxph(Surv(time, status == 2) ~ age + log(bili), pbc[1:300, ]), pbc[301:418, ])", coxph(Surv(time, status == 2) ~ age + log(bili), pbc[1:300, ], control = precise), newdata = pbc[301:418, ])
ro("royston_rotterdam", "royston(coxph(Surv(rtime, recur) ~ age + nodes + grade, rotterdam))", coxph(Surv(rtime, recur) ~ age + nodes + grade, rotterdam, control = precise))

writeLines(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = 1), "expected.json")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
