# Reference numbers for tests/survival/test_parametric.py, from R's survival (survreg, to full convergence) and glm.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
# "flexsurv" and "icenReg" in expected.json are numbers of flexsurv 2.3.2 and icenReg 2.0.16 under R 4.2.2, which this
# script keeps as they stand.
suppressPackageStartupMessages({library(survival); library(jsonlite); library(numDeriv)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
lung <- data("lung"); lung$w <- 1 + (lung$age %% 3) / 2
lung <- subset(lung, !is.na(inst))
lung$o <- 0.02 * (lung$age - 60); lung$k <- 1 + lung$age %% 3
veteran <- data("veteran"); ovarian <- data("ovarian"); kidney <- data("kidney"); rossi <- data("rossi")
diabetic <- data("diabetic"); heart <- data("heart")
pbc <- data("pbc"); pbc$dead <- 1 * (pbc$status == 2); pbc <- subset(pbc, bili > 0)
# visits every 60 days: exact for every third row, before the first visit left-censored, never seen right-censored
visits <- veteran
visits$left <- 60 * floor(visits$time / 60); visits$right <- visits$left + 60
exact <- seq_len(nrow(visits)) %% 3 == 0
visits$left[exact] <- visits$right[exact] <- visits$time[exact]
visits$right[visits$status == 0] <- NA; visits$left[visits$status == 0] <- visits$time[visits$status == 0]
visits$low <- ifelse(visits$left == 0, NA, visits$left)

tight <- survreg.control(maxiter = 200, rel.tolerance = 1e-15, toler.chol = 1e-12)
out <- list()
reg <- function(id, call, new = NULL) {
  f <- eval(call)
  v <- vcov(f)
  if (!is.null(f$weights) && !is.null(f$naive.var))
    # survreg 3.5-3 forgets the weights here, so that weights of 5 change the errors (therneau/survival issue 287)
    v <- crossprod(rowsum(residuals(f, "dfbeta", weighted = TRUE), lung$inst))
  case <- list(call = paste(deparse(call), collapse = " "), coef = unname(coef(f)), scale = unname(f$scale),
               covariance = unname(v), loglik = f$loglik, aic = AIC(f), bic = BIC(f))
  if (!is.null(f$naive.var)) case$naive <- unname(f$naive.var)
  if (!is.null(new)) {
    q <- predict(f, new, type = "quantile", p = c(.1, .5, .9), se.fit = TRUE)
    l <- predict(f, new, type = "lp", se.fit = TRUE)
    case$quantile <- unname(q$fit); case$quantile_se <- unname(q$se.fit)
    case$lp <- unname(l$fit); case$lp_se <- unname(l$se.fit)
  }
  out[[id]] <<- case
  invisible(f)
}
for (d in c("weibull", "exponential", "lognormal", "loglogistic", "gaussian", "logistic")) {
  f <- reg(paste0("lung_", d), bquote(survreg(Surv(time, status) ~ age + sex, lung, dist = .(d), control = tight)),
           data.frame(age = c(50, 70), sex = c(1, 2)))
  out[[paste0("lung_", d)]]$deviance <- unname(residuals(f, "deviance"))[1:20]
  reg(paste0("lung_weighted_", d),
      bquote(survreg(Surv(time, status) ~ age + sex, lung, dist = .(d), weights = w, control = tight)))
  reg(paste0("lung_cluster_", d),
      bquote(survreg(Surv(time, status) ~ age + sex, lung, dist = .(d), weights = w, cluster = inst, control = tight)))
  reg(paste0("visits_", d),
      bquote(survreg(Surv(low, right, type = "interval2") ~ karno + factor(celltype), visits, dist = .(d), control = tight)))
  reg(paste0("visits_weighted_", d),
      bquote(survreg(Surv(low, right, type = "interval2") ~ karno, visits, dist = .(d), weights = age, control = tight)))
  if (d != "exponential")
    reg(paste0("lung_strata_", d),
        bquote(survreg(Surv(time, status) ~ age + strata(sex), lung, dist = .(d), control = tight)))
}
reg("lung_offset", quote(survreg(Surv(time, status) ~ sex + offset(o), lung, control = tight)))
reg("lung_robust", quote(survreg(Surv(time, status) ~ age + sex, lung, robust = TRUE, control = tight)))
reg("lung_strata_cluster", quote(survreg(Surv(time, status) ~ age + sex + strata(sex), lung, cluster = inst, control = tight)))
reg("lung_one", quote(survreg(Surv(time, status) ~ 1, lung, dist = "lognormal", control = tight)))
reg("pbc", quote(survreg(Surv(time, dead) ~ age + log(bili) + edema + factor(sex), pbc, dist = "loglogistic", control = tight)))
reg("pbc_days_in_years", quote(survreg(Surv(time / 365.25, dead) ~ age + log(bili), pbc, control = tight)))
reg("veteran", quote(survreg(Surv(time, status) ~ karno + factor(celltype) + trt, veteran, dist = "lognormal", control = tight)))
reg("ovarian", quote(survreg(Surv(futime, fustat) ~ ecog.ps + rx, ovarian, control = tight)))
reg("kidney", quote(survreg(Surv(time, status) ~ age + sex, kidney, cluster = id, control = tight)))
reg("diabetic", quote(survreg(Surv(time, status) ~ trt * age, diabetic, cluster = id, dist = "loglogistic", control = tight)))
reg("rossi", quote(survreg(Surv(week, arrest) ~ fin + age + prio, rossi, control = tight)))

# piecewise exponential: Poisson regression of split rows; start-stop rows too
pieces <- function(id, formula, d, event, cuts, start, stop) {
  s <- survSplit(d, cut = cuts, end = stop, start = start, event = event, episode = "piece")
  s$exposure <- s[[stop]] - s[[start]]
  s$piece <- factor(s$piece)
  f <- glm(update(formula, paste(event, "~ 0 + piece + . + offset(log(exposure))")), poisson, s,
           control = glm.control(epsilon = 1e-16, maxit = 200))
  # Poisson log-likelihood of the rows: events times log(exposure) is no part of the likelihood of times
  out[[id]] <<- list(call = paste("glm(poisson) of survSplit at", paste(cuts, collapse = ", ")), coef = unname(coef(f)),
                     covariance = unname(vcov(f)), loglik = as.numeric(logLik(f)) - sum((s[[event]] * log(s$exposure))))
}
pieces("pieces_lung", ~ age + sex, lung, "status", c(100, 300, 600), "begin", "time")
pieces("pieces_heart", ~ age + surgery, heart, "event", c(30, 90, 365), "start", "stop")

# what survreg lacks: minus log-likelihoods from the textbook formulas, minimised by optim and Newton, numDeriv's Hessian
fit <- function(id, call, minus, start) {
  f <- list(estimate = start)
  safe <- function(p) { m <- minus(p); if (is.finite(m)) m else 1e10 }
  for (i in 1:5) f$estimate <- optim(f$estimate, safe, control = list(maxit = 5000, reltol = 1e-14))$par
  for (i in 1:8) f$estimate <- f$estimate - solve(hessian(minus, f$estimate), grad(minus, f$estimate))
  out[[id]] <<- list(call = call, coef = f$estimate, covariance = solve(hessian(minus, f$estimate)),
                     loglik = -minus(f$estimate))
}
x <- cbind(lung$age - 60, lung$sex)
gompertz <- function(p) {
  eta <- p[1] + x %*% p[2:3]; a <- p[4] / 1000
  -sum(lung$status * (eta + a * lung$time) - exp(eta) * expm1(a * lung$time) / a)
}
fit("gompertz", "minus log-likelihood; age - 60; shape in 1/1000", gompertz, c(-6, 0.01, -0.5, 1))
gengamma <- function(p) {
  w <- (log(lung$time) - p[1] - x %*% p[2:3]) / exp(p[4]); q <- p[5]; k <- 1 / q^2
  f <- log(abs(q)) + k * log(k) - lgamma(k) + k * (q * w - exp(q * w)) - p[4] - log(lung$time)
  s <- pgamma(k * exp(q * w), k, lower.tail = q < 0, log.p = TRUE)
  -sum(ifelse(lung$status == 1, f, s))
}
fit("gengamma", "minus log-likelihood; age - 60", gengamma, c(6, -0.01, 0.4, -0.3, 0.9))
h <- heart; hx <- cbind(h$age, h$surgery)
late <- function(log_s, log_f) function(p) {
  -sum(ifelse(h$event == 1, log_f(h$stop, p), log_s(h$stop, p)) - ifelse(h$start > 0, log_s(pmax(h$start, 1e-9), p), 0))
}
mu <- function(p) p[1] + hx %*% p[2:3]
fit("heart_weibull", "minus log-likelihood, delayed entry", late(
  function(t, p) pweibull(t, exp(-p[4]), exp(mu(p)), lower = FALSE, log = TRUE),
  function(t, p) dweibull(t, exp(-p[4]), exp(mu(p)), log = TRUE)), c(5, -0.05, 1, 0.6))
fit("heart_lognormal", "minus log-likelihood, delayed entry", late(
  function(t, p) plnorm(t, mu(p), exp(p[4]), lower = FALSE, log = TRUE),
  function(t, p) dlnorm(t, mu(p), exp(p[4]), log = TRUE)), c(5, -0.05, 1, 0.6))
# baseline (of mean covariates) transformed, of interval-censored times: lognormal hazards and odds of survival
v <- visits; v$right[is.na(v$right)] <- Inf; vx <- v$karno / 10 - mean(v$karno / 10)
transformed <- function(link) function(p) {
  s0 <- function(t) plnorm(t, p[1], exp(p[2]), lower.tail = FALSE)
  xi <- p[3] * vx
  s <- if (link == "ph") function(t) s0(t)^exp(xi) else function(t) exp(xi) * s0(t) / (1 - s0(t) + exp(xi) * s0(t))
  h0 <- dlnorm(v$left, p[1], exp(p[2])) / s0(v$left)
  f <- if (link == "ph") exp(xi) * h0 * s(v$left) else h0 * s(v$left) * (1 - s(v$left)) / (1 - s0(v$left))
  -sum(log(ifelse(v$left == v$right, f, s(v$left) - s(v$right))))
}
fit("visits_lognormal_ph", "minus log-likelihood", transformed("ph"), c(4, 0.3, -0.3))
fit("visits_lognormal_po", "minus log-likelihood", transformed("po"), c(4, 0.3, 0.4))

old <- fromJSON("expected.json", simplifyVector = FALSE)
out$packages <- list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                     numDeriv = as.character(packageVersion("numDeriv")))
out$flexsurv <- old$flexsurv; out$icenReg <- old$icenReg
write_json(out, "expected.json", digits = NA, auto_unbox = TRUE, na = "null")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
