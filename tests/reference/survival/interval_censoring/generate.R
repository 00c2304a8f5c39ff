# Reference numbers for tests/survival/test_interval_censoring.py, from R's npsurv, survival, mets and glm.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. `stored` holds results of icenReg and survival made earlier
# with the versions named there; they are kept as they are.
suppressPackageStartupMessages({library(survival); library(npsurv); library(mets); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
number <- function(x) { x <- as.numeric(x); x[is.na(x)] <- Inf; x }
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
mice <- data("mice_tumours"); mice$u <- number(mice$u)
diabetes <- data("ir_diabetes"); diabetes$right <- number(diabetes$right)
onsets <- data("onsets"); onsets$right <- number(onsets$right)
yearly <- data("yearly"); yearly$right <- number(yearly$right)
out <- list(stored = fromJSON(file.path(here, "expected.json"), simplifyVector = FALSE)$stored,
            packages = list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                            npsurv = as.character(packageVersion("npsurv")), mets = as.character(packageVersion("mets"))))

# --- Turnbull: npsurv's constrained Newton method, run to a tight criterion
np <- function(id, left, right, w = rep(1, length(left))) {
  f <- npsurv(cbind(left, right), w = w, maxit = 10000, tol = 1e-14)
  out[[id]] <<- list(call = "npsurv(cbind(left, right), w, tol = 1e-14)", left = f$f$left, right = f$f$right, p = f$f$p,
                     loglik = f$ll)
}
np("mice_ce", mice$l[mice$grp == "ce"], mice$u[mice$grp == "ce"])
np("mice_ge", mice$l[mice$grp == "ge"], mice$u[mice$grp == "ge"])
np("mice_pooled", mice$l, mice$u)
np("diabetes", diabetes$left, diabetes$right)
fresh <- onsets$entry == 0
np("onsets", onsets$left[fresh], onsets$right[fresh])
np("onsets_weighted", onsets$left[fresh], onsets$right[fresh], w = 1 + onsets$id[fresh] %% 3)

# --- exact and right-censored times only: Kaplan-Meier, also with delayed entry
seen <- is.finite(onsets$onset <- number(onsets$onset))
km <- function(id, call, fit) out[[id]] <<- list(call = call, time = fit$time, surv = fit$surv)
fit <- survfit(Surv(entry, pmin(onset, time), seen) ~ 1, onsets)
km("km_entry", "survfit(Surv(entry, time, event) ~ 1)", fit)

# --- yearly visits: proportional hazards are a complementary log-log model of person-years
tight <- glm.control(1e-14, 100)
person_years <- function(d) {
  last <- ifelse(is.finite(d$right), d$right, d$left)
  i <- rep(seq_len(nrow(d)), last - d$entry)
  year <- sequence(last - d$entry) + d$entry[i]
  data.frame(d[i, ], year = factor(year), event = as.numeric(is.finite(d$right[i]) & year == last[i]))
}
long <- person_years(yearly)
grouped <- function(id, formula, counts) {
  long$counts <- counts
  # glm's log-likelihood lacks nothing: each person-year is one binary trial
  f <- suppressWarnings(glm(formula, binomial("cloglog"), long, weights = counts, control = tight))
  for (again in 1:3) # glm stops by its deviance, short of the last digits of the coefficients
    f <- suppressWarnings(glm(formula, binomial("cloglog"), long, weights = counts, control = tight, start = coef(f)))
  own <- setdiff(names(coef(f)), grep("^year", names(coef(f)), value = TRUE))
  p <- fitted(f)
  out[[id]] <<- list(call = paste0("glm(", deparse(formula), ", binomial('cloglog')), one row per person-year"),
                     terms = own, coef = unname(coef(f)[own]), se = unname(sqrt(diag(vcov(f)))[own]),
                     loglik = sum(counts * ifelse(long$event == 1, log(p), log1p(-p))))
}
grouped("ph_yearly", event ~ 0 + year + arm + x, rep(1, nrow(long)))
grouped("ph_yearly_null", event ~ 0 + year, rep(1, nrow(long)))
grouped("ph_yearly_weighted", event ~ 0 + year + arm + x, long$w)
grouped("ph_yearly_product", event ~ 0 + year + arm * x, rep(1, nrow(long)))

# --- proportional odds: mets, whose sign is that of the risk; without truncation
fresh <- yearly[yearly$entry == 0, ]
fresh$L <- fresh$left; fresh$R <- fresh$right
odds <- function(id, formula, terms) {
  years <- max(fresh$R[is.finite(fresh$R)])
  f <- interval.logitsurv.discrete(formula, fresh, beta = c(rep(-1, years), rep(0, length(terms))))
  for (again in 1:3) f <- interval.logitsurv.discrete(formula, fresh, beta = f$coef)
  own <- years + seq_along(terms)
  out[[id]] <<- list(call = paste0("mets::interval.logitsurv.discrete(", deparse(formula), ")"), terms = terms,
                     coef = unname(f$coef[own]), se = unname(sqrt(diag(f$var))[own]), loglik = sum(f$ploglik))
}
odds("po_yearly", Interval(L, R) ~ arm + x, c("arm", "x"))
odds("po_yearly_arm", Interval(L, R) ~ arm, "arm")

write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = FALSE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
