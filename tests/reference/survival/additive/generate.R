# Reference numbers for tests/survival/test_additive.py, from R's timereg and survival.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
suppressPackageStartupMessages({library(survival); library(timereg); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
pbc <- data("pbc"); veteran <- data("veteran"); heart <- data("heart"); lung <- data("lung")
lung <- subset(lung, !is.na(ph.ecog) & !is.na(inst))
lung$w <- 1 + (lung$age %% 3) / 2
# timereg draws the order of tied events at random: no ties
lung$t <- lung$time + seq_len(nrow(lung)) / 1000
veteran$t <- veteran$time + seq_len(nrow(veteran)) / 1000
# both rows of a person move by the same amount
heart$begin <- heart$start + heart$id / 1000
heart$end <- heart$stop + heart$id / 1000
# timereg integrates between exit times only: entries that lie on them
late <- sort(lung$t)[c(10, 40, 80)]
lung$entry <- c(0, late)[1 + seq_len(nrow(lung)) %% 4]
lung$late <- ifelse(lung$entry < lung$t, lung$entry, 0)
out <- list()
out$packages <- list(R = as.character(getRversion()), survival = as.character(packageVersion("survival")),
                     timereg = as.character(packageVersion("timereg")))

last <- function(f, at) sapply(at, function(t) max(which(f$cum[, 1] <= t)))
cumulative <- function(id, call, f, at) {
  i <- last(f, at)
  out[[id]] <<- list(call = call, times = at, terms = colnames(f$cum)[-1], cum = f$cum[i, -1], var = f$var.cum[i, -1],
                     robvar = f$robvar.cum[i, -1])
}
cumulative("aalen_pbc", "aalen(Surv(time/365.25, status == 2) ~ age + edema, max.time = 7); pairs of tied events",
           aalen(Surv(time/365.25, status == 2) ~ age + edema, pbc, max.time = 7, n.sim = 0), c(1, 3, 5))
cumulative("aalen_lung", "aalen(Surv(t, status) ~ age + sex + ph.ecog)",
           aalen(Surv(t, status) ~ age + sex + ph.ecog, lung, n.sim = 0), c(100, 300, 700))
cumulative("aalen_lung_weights", "aalen(Surv(t, status) ~ age + sex, weights = w)",
           aalen(Surv(t, status) ~ age + sex, lung, n.sim = 0, weights = lung$w), c(100, 300, 700))
cumulative("aalen_lung_cluster", "aalen(Surv(t, status) ~ age + sex, clusters = inst)",
           aalen(Surv(t, status) ~ age + sex, lung, n.sim = 0, clusters = lung$inst), c(100, 300, 700))
cumulative("aalen_veteran", "aalen(Surv(t, status) ~ karno + celltype, max.time = 150)",
           aalen(Surv(t, status) ~ karno + celltype, veteran, max.time = 150, n.sim = 0), c(30, 60, 120))
cumulative("aalen_heart", "aalen(Surv(begin, end, event) ~ age + transplant, clusters = id)",
           aalen(Surv(begin, end, event) ~ age + transplant, heart, n.sim = 0, clusters = heart$id), c(20, 100, 400))
f <- aalen(Surv(t, status) ~ age + sex, lung, n.sim = 0, resample.iid = 1)
p <- predict(f, newdata = data.frame(age = c(60, 70), sex = c(1, 2)), times = c(100, 300), n.sim = 0)
out$aalen_survival <- list(call = "predict(aalen(Surv(t, status) ~ age + sex), newdata, times = c(100, 300))",
                           surv = p$S0, se = p$se.S0)

tests <- function(id, call, f, ...) {
  s <- summary(f, ...)
  v <- if (is.null(s$test.var2)) s$test.var else s$test.var2
  out[[id]] <<- list(call = call, statistic = unname(s$test.statistic), var = unname(v), z = unname(s$table[, "z"]),
                     chisq = as.numeric(s$chisq))
}
tests("aareg_lung", "aareg(Surv(time, status) ~ age + sex + ph.ecog)", aareg(Surv(time, status) ~ age + sex + ph.ecog, lung))
tests("aareg_lung_nrisk", "the same, test = 'nrisk'", aareg(Surv(time, status) ~ age + sex + ph.ecog, lung, test = "nrisk"))
tests("aareg_lung_max_time", "summary(the same, maxtime = 365)",
      aareg(Surv(time, status) ~ age + sex + ph.ecog, lung), maxtime = 365)
tests("aareg_lung_one", "aareg(Surv(time, status) ~ age)", aareg(Surv(time, status) ~ age, lung))
tests("aareg_lung_weights", "aareg(Surv(time, status) ~ age + sex, weights = w)",
      aareg(Surv(time, status) ~ age + sex, lung, weights = w))
tests("aareg_lung_robust", "aareg(Surv(time, status) ~ age + sex, dfbeta = TRUE)",
      aareg(Surv(time, status) ~ age + sex, lung, dfbeta = TRUE))
# aareg sums the influences of a cluster in the order of the rows given, not in its own: rows sorted by time
sorted <- lung[order(lung$time, -lung$status), ]
tests("aareg_lung_cluster", "aareg(Surv(time, status) ~ age + sex, cluster = inst), rows sorted by time",
      aareg(Surv(time, status) ~ age + sex, sorted, cluster = inst))
tests("aareg_veteran", "aareg(Surv(time, status) ~ karno + celltype)", aareg(Surv(time, status) ~ karno + celltype, veteran))
tests("aareg_heart", "aareg(Surv(start, stop, event) ~ age + transplant)", aareg(Surv(begin, end, event) ~ age + transplant, heart))

constant <- function(id, call, f) {
  out[[id]] <<- list(call = call, coef = unname(f$gamma[, 1]), var = unname(f$var.gamma), robvar = unname(f$robvar.gamma))
}
constant("lin_ying_lung", "aalen(Surv(t, status) ~ const(age) + const(sex) + const(ph.ecog))",
         aalen(Surv(t, status) ~ const(age) + const(sex) + const(ph.ecog), lung, n.sim = 0))
constant("lin_ying_lung_weights", "the same, weights = w",
         aalen(Surv(t, status) ~ const(age) + const(sex) + const(ph.ecog), lung, n.sim = 0, weights = lung$w))
constant("lin_ying_lung_cluster", "the same, clusters = inst",
         aalen(Surv(t, status) ~ const(age) + const(sex) + const(ph.ecog), lung, n.sim = 0, clusters = lung$inst))
constant("lin_ying_lung_entry", "aalen(Surv(late, t, status) ~ const(age) + const(sex))",
         aalen(Surv(late, t, status) ~ const(age) + const(sex), lung, n.sim = 0))
constant("lin_ying_veteran", "aalen(Surv(t, status) ~ const(karno) + const(celltype))",
         aalen(Surv(t, status) ~ const(karno) + const(celltype), veteran, n.sim = 0))
f <- aalen(Surv(t, status) ~ const(age) + const(sex), lung, n.sim = 0)
i <- last(f, c(100, 300, 700))
out$lin_ying_baseline <- list(call = "aalen(Surv(t, status) ~ const(age) + const(sex))$cum", times = unname(f$cum[i, 1]),
                              cum = unname(f$cum[i, 2]), var = unname(f$var.cum[i, 2]), robvar = unname(f$robvar.cum[i, 2]))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, na = "null", auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
