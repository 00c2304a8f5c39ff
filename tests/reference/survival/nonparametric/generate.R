# Reference numbers for tests/survival/test_nonparametric.py, from R's survival and cmprsk.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressPackageStartupMessages({library(survival); library(cmprsk); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
lung <- subset(data("lung"), !is.na(inst)); pbc <- data("pbc"); heart <- data("heart"); veteran <- data("veteran")
mgus2 <- data("mgus2_cr"); diabetic <- data("diabetic"); larynx <- data("larynx"); dialysis <- data("kidney_dialysis")
lung$w <- 1 + (lung$age %% 3) / 2
lung$half <- lung$age / 2
pbc$w <- 0.5 + (pbc$age %% 5) / 4
heart$w <- 1 + (heart$id %% 4) / 3
heart$row <- seq_len(nrow(heart))
veteran$w <- 1 + veteran$age %% 3
veteran$u <- 0.7 + (veteran$age %% 4) / 3
mgus2$w <- 0.6 + (mgus2$age %% 7) / 5
mgus2$years <- ceiling(mgus2$etime / 12)
mgus2$band <- ifelse(mgus2$age < 65, 1, ifelse(mgus2$age < 75, 2, 3))
mgus2$state <- factor(mgus2$event, 0:2, c("censored", "pcm", "death"))
mgus2$entry <- ifelse(mgus2$id %% 3 == 0, 0.4 * mgus2$etime, 0)
mgus2$until <- mgus2$etime + 0.5
out <- list()
keep <- function(id, call, ...) out[[id]] <<- list(call = call, ...)
packages <- list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                 cmprsk = as.character(packageVersion("cmprsk")))
out$packages <- packages

# Kaplan-Meier: weights, clusters, delayed entry
km <- function(id, call, fit, times) {
  s <- summary(fit, times = times)
  q <- quantile(fit, 0.5)
  keep(id, call, times = times, n_risk = s$n.risk, surv = s$surv, se = s$std.err, lower = s$lower, upper = s$upper,
       median = unname(q$quantile), median_lower = unname(q$lower), median_upper = unname(q$upper))
}
for (type in c("plain", "log", "log-log", "logit", "arcsin"))
  km(paste0("km_pbc_weights_", type), "survfit(Surv(time, status == 2) ~ sex, weights = w, conf.type)",
     survfit(Surv(time, status == 2) ~ sex, pbc, weights = w, conf.type = type), c(500, 1000, 2000, 3584))
km("km_lung_cluster", "survfit(Surv(time, status == 2) ~ sex, cluster = inst)",
   survfit(Surv(time, status) ~ sex, lung, cluster = inst), c(100, 310, 500))
km("km_lung_weights_cluster", "survfit(Surv(time, status == 2) ~ 1, weights = w, cluster = inst)",
   survfit(Surv(time, status) ~ 1, lung, weights = w, cluster = inst), c(5, 100, 310, 500, 883))
km("km_diabetic_cluster", "survfit(Surv(time, status) ~ trt, cluster = id)",
   survfit(Surv(time, status) ~ 1, diabetic, cluster = id), c(10, 30, 60))
km("km_heart_cluster", "survfit(Surv(start, stop, event) ~ 1, cluster = id)",
   survfit(Surv(start, stop, event) ~ 1, heart, cluster = id), c(50, 200, 500))
km("km_heart_weights_cluster", "survfit(Surv(start, stop, event) ~ surgery, weights = w, cluster = id)",
   survfit(Surv(start, stop, event) ~ surgery, heart, weights = w, cluster = id), c(50, 68, 165, 285))
km("km_heart_weights", "survfit(Surv(start, stop, event) ~ 1, weights = w)",
   survfit(Surv(start, stop, event) ~ 1, heart, weights = w), c(50, 200, 500))

# Cumulative hazard
na <- function(id, call, fit, times) {
  s <- summary(fit, times = times)
  keep(id, call, times = times, hazard = s$cumhaz, hazard_se = s$std.chaz, surv = s$surv, se = s$std.err,
       lower = s$lower, upper = s$upper, n_risk = s$n.risk)
}
for (ct in 1:2) {
  na(paste0("na_veteran_", ct), "survfit(Surv(time, status) ~ 1, stype = 2, ctype)",
     survfit(Surv(time, status) ~ 1, veteran, stype = 2, ctype = ct), c(50, 100, 200))
  na(paste0("na_veteran_loglog_", ct), "survfit(Surv(time, status) ~ trt, stype = 2, ctype, conf.type = 'log-log')",
     survfit(Surv(time, status) ~ trt, veteran, stype = 2, ctype = ct, conf.type = "log-log"), c(50, 100, 200))
  na(paste0("na_veteran_integer_", ct), "survfit(Surv(time, status) ~ 1, weights = w, stype = 2, ctype)",
     survfit(Surv(time, status) ~ 1, veteran, weights = w, stype = 2, ctype = ct), c(50, 100, 200))
  na(paste0("na_veteran_weights_", ct), "survfit(Surv(time, status) ~ 1, weights = u, stype = 2, ctype)",
     survfit(Surv(time, status) ~ 1, veteran, weights = u, stype = 2, ctype = ct), c(50, 100, 200))
  na(paste0("na_veteran_cluster_", ct), "survfit(Surv(time, status) ~ trt, weights = u, cluster = celltype, stype = 2, ctype)",
     survfit(Surv(time, status) ~ trt, veteran, weights = u, cluster = celltype, stype = 2, ctype = ct), c(50, 100, 200))
  na(paste0("na_heart_", ct), "survfit(Surv(start, stop, event) ~ 1, stype = 2, ctype)",
     survfit(Surv(start, stop, event) ~ 1, heart, stype = 2, ctype = ct), c(50, 200, 500))
  na(paste0("na_heart_cluster_", ct), "survfit(Surv(start, stop, event) ~ 1, weights = w, cluster = id, stype = 2, ctype)",
     survfit(Surv(start, stop, event) ~ 1, heart, weights = w, cluster = id, stype = 2, ctype = ct), c(50, 200, 500))
}

# Cumulative incidence: survfit's jackknife
aj <- function(id, call, fit, times) {
  s <- summary(fit, times = times)
  curves <- if (is.null(fit$strata)) 1 else length(fit$strata)
  part <- function(x) unname(x[, -1])
  keep(id, call, times = times, curves = curves, estimate = part(s$pstate), se = part(s$std.err), lower = part(s$lower),
       upper = part(s$upper), n_risk = unname(s$n.risk[, 1]))
}
times <- c(60, 120, 240, 360)
for (type in c("log", "plain", "log-log", "logit"))  # survfit loses the shape of its arcsin limits
  aj(paste0("aj_mgus2_", type), "survfit(Surv(etime, state) ~ 1, conf.type)",
     survfit(Surv(etime, state) ~ 1, mgus2, conf.type = type), times)
aj("aj_mgus2_sex", "survfit(Surv(etime, state) ~ sex)", survfit(Surv(etime, state) ~ sex, mgus2), times)
aj("aj_mgus2_ties", "survfit(Surv(years, state) ~ sex)", survfit(Surv(years, state) ~ sex, mgus2), c(5, 10, 20, 30))
aj("aj_mgus2_weights", "survfit(Surv(etime, state) ~ sex, weights = w)",
   survfit(Surv(etime, state) ~ sex, mgus2, weights = w), times)
aj("aj_mgus2_entry", "survfit(Surv(entry, until, state) ~ sex, id = id)",
   survfit(Surv(entry, until, state) ~ sex, mgus2, id = id), c(60.5, 120.5, 240.5))
aj("aj_mgus2_entry_weights", "survfit(Surv(entry, until, state) ~ sex, id = id, weights = w)",
   survfit(Surv(entry, until, state) ~ sex, mgus2, id = id, weights = w), c(60.5, 120.5, 240.5))
# each person split in two at 20 months; the rows of one person are one cluster
first <- transform(mgus2, start = 0, stop = pmin(until, 20), state = factor(ifelse(until > 20, 0, event), 0:2, levels(state)))
split <- rbind(first, transform(subset(mgus2, until > 20), start = 20, stop = until))
aj("aj_mgus2_split", "survfit(Surv(start, stop, state) ~ sex, id = id, weights = w)",
   survfit(Surv(start, stop, state) ~ sex, split, id = id, weights = w), c(60.5, 120.5, 240.5))

# Cumulative incidence: cuminc's variance, and Gray's test
ci <- function(id, call, fit, times) {
  p <- timepoints(fit, times)
  keep(id, call, times = times, curves = rownames(p$est), estimate = unname(p$est), se = unname(sqrt(p$var)))
}
ci("cuminc_mgus2_sex", "cuminc(etime, event, sex)", cuminc(mgus2$etime, mgus2$event, mgus2$sex), c(60, 120, 240, 350))
ci("cuminc_mgus2_ties", "cuminc(years, event, band)", cuminc(mgus2$years, mgus2$event, mgus2$band), c(1, 5, 10, 20))
small <- data.frame(t = c(1, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 8), e = c(1, 2, 1, 2, 0, 1, 2, 1, 2, 2, 1, 1), g = rep(c("a", "b", "b"), 4))
ci("cuminc_small", "cuminc(t, e, g), everyone fails but one", cuminc(small$t, small$e, small$g), c(1, 2.5, 3, 5, 6, 7))
gray <- function(id, call, fit) keep(id, call, statistic = unname(fit$Tests[, "stat"]), p_value = unname(fit$Tests[, "pv"]), df = unname(fit$Tests[, "df"]))
with(mgus2, {
  gray("gray_sex", "cuminc(etime, event, sex)", cuminc(etime, event, sex))
  gray("gray_sex_rho", "cuminc(etime, event, sex, rho = 1)", cuminc(etime, event, sex, rho = 1))
  gray("gray_band", "cuminc(etime, event, band)", cuminc(etime, event, band))
  gray("gray_ties", "cuminc(years, event, band)", cuminc(years, event, band))
  gray("gray_strata", "cuminc(years, event, band, strata = sex)", cuminc(years, event, band, strata = sex))
  gray("gray_strata_rho", "cuminc(etime, event, sex, strata = band, rho = 0.5)", cuminc(etime, event, sex, strata = band, rho = 0.5))
})
gray("gray_small", "cuminc(t, e, g)", cuminc(small$t, small$e, small$g))
gray("gray_example", "cuminc(1:8, c(1,1,2,1,2,0,1,2), aaababbb)", cuminc(1:8, c(1, 1, 2, 1, 2, 0, 1, 2), strsplit("aaababbb", "")[[1]]))

# Log-rank: survdiff, and the score test of a discrete Cox model where survdiff does not reach
lr <- function(id, call, fit) keep(id, call, statistic = fit$chisq, df = sum(colSums(rbind(if (is.matrix(fit$exp)) t(fit$exp) else fit$exp)) > 0) - 1)
lr("logrank_pbc", "survdiff(Surv(time, status == 2) ~ stage)", survdiff(Surv(time, status == 2) ~ stage, pbc))
lr("logrank_pbc_rho", "survdiff(Surv(time, status == 2) ~ stage, rho = 0.5)", survdiff(Surv(time, status == 2) ~ stage, pbc, rho = 0.5))
lr("logrank_pbc_strata", "survdiff(Surv(time, status == 2) ~ stage + strata(sex), rho = 1)", survdiff(Surv(time, status == 2) ~ stage + strata(sex), pbc, rho = 1))
lr("logrank_diabetic_strata", "survdiff(Surv(time, status) ~ trt + strata(id))", survdiff(Surv(time, status) ~ trt + strata(id), diabetic))
score <- function(id, call, fit) keep(id, call, statistic = unname(fit$score), df = length(coef(fit)))
score("logrank_heart_entry", "coxph(Surv(start, stop, event) ~ factor(surgery), ties = 'exact')$score",
      coxph(Surv(start, stop, event) ~ factor(surgery), heart, ties = "exact"))
score("logrank_heart_entry_strata", "coxph(Surv(start, stop, event) ~ surgery + strata(transplant), ties = 'exact')$score",
      coxph(Surv(start, stop, event) ~ surgery + strata(transplant), heart, ties = "exact"))
score("trend_pbc", "coxph(Surv(time, status == 2) ~ stage, ties = 'exact')$score", coxph(Surv(time, status == 2) ~ stage, pbc, ties = "exact"))
pbc$score <- c(0, 1, 5, 6)[pbc$stage]
score("trend_pbc_scores", "coxph(Surv(time, status == 2) ~ score + strata(sex), ties = 'exact')$score",
      coxph(Surv(time, status == 2) ~ score + strata(sex), pbc, ties = "exact"))
# Weighted tests, from the definition: one event time at a time
weighted <- function(id, call, d, weight, score = NULL) {
  groups <- sort(unique(d$g)); u <- numeric(length(groups)); v <- matrix(0, length(groups), length(groups))
  for (s in unique(d$s)) {
    e <- d[d$s == s, ]; km <- 1; peto <- 1
    for (t in sort(unique(e$time[e$event == 1]))) {
      y <- sapply(groups, function(g) sum(e$time >= t & e$g == g)); n <- sum(y)
      dk <- sapply(groups, function(g) sum(e$time == t & e$event == 1 & e$g == g)); dd <- sum(dk)
      peto <- peto * (1 - dd / (n + 1))
      w <- weight(n, km, peto)
      u <- u + w * (dk - y * dd / n)
      if (n > 1) v <- v + w^2 * dd * (n - dd) / (n - 1) * (diag(y / n) - outer(y, y) / n^2)
      km <- km * (1 - dd / n)
    }
  }
  if (!is.null(score)) return(keep(id, call, statistic = sum(score * u)^2 / drop(score %*% v %*% score), df = 1))
  k <- length(groups) - 1
  keep(id, call, statistic = drop(u[1:k] %*% solve(v[1:k, 1:k, drop = FALSE], u[1:k])), df = k)
}
p <- subset(pbc, !is.na(stage))
one <- data.frame(time = p$time, event = p$status == 2, g = p$stage, s = 1); by_sex <- transform(one, s = p$sex)
weights <- list(gehan = function(n, km, peto) n, `tarone-ware` = function(n, km, peto) sqrt(n), peto = function(n, km, peto) peto,
                fh = function(n, km, peto) km^0.5 * (1 - km)^2)
for (name in names(weights)) {
  weighted(paste0("weighted_", name), paste(name, "by stage"), one, weights[[name]])
  weighted(paste0("weighted_strata_", name), paste(name, "by stage, within sex"), by_sex, weights[[name]])
  weighted(paste0("weighted_trend_", name), paste(name, "trend by stage, within sex"), by_sex, weights[[name]], 0:3)
}
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, na = "null", auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
