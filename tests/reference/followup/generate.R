# Reference numbers for tests/followup, from R's survival package.
#   python ../survival/make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. Of data that cannot be shipped only digests are kept:
# per column the sum of row number times value, and the number of missing values.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
control <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
digest <- function(d) lapply(as.list(d), function(x) {
  x <- as.numeric(x)
  c(sum(seq_along(x) * x, na.rm = TRUE), sum(is.na(x)))
})
counts <- function(d) { k <- attr(d, "tcount"); list(term = rownames(k), n = unname(k)) }
fitted <- function(fit) list(coef = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))), loglik = fit$loglik, n = fit$n, nevent = fit$nevent)
out <- list()

pbc <- data("pbc"); pbcseq <- data("pbcseq"); jasa <- data("jasa"); lung <- data("lung"); heart <- data("heart")
base <- subset(pbc, id <= 312, select = c(id, time, status, trt, age))
d <- tmerge(base, base, id = id, death = event(time, status))
d <- tmerge(d, pbcseq, id = id, ascites = tdc(day, ascites), bili = tdc(day, bili), albumin = tdc(day, albumin),
  protime = tdc(day, protime), alk.phos = tdc(day, alk.phos))
fit <- coxph(Surv(tstart, tstop, death == 2) ~ log(bili) + log(protime) + age, d, control = control)
out$pbcseq <- list(call = "tmerge(pbc, pbcseq, tdc of ascites, bili, albumin, protime, alk.phos)", nrow = nrow(d), digest = digest(d), counts = counts(d), cox = fitted(fit))

jasa$subject <- seq_len(nrow(jasa))
day <- function(x) as.numeric(as.Date(x))
jasa$futime <- pmax(.5, day(jasa$fu.date) - day(jasa$accept.dt))
jasa$txtime <- day(jasa$tx.date) - day(jasa$accept.dt) - .5 * (jasa$tx.date == jasa$fu.date)
jasa$txtime[is.na(jasa$tx.date) | jasa$tx.date == ""] <- NA
jasa <- jasa[c("subject", "age", "surgery", "futime", "txtime", "fustat")]
d <- tmerge(jasa, jasa, id = subject, death = event(futime, fustat), trt = tdc(txtime))
fit <- coxph(Surv(tstart, tstop, death) ~ age + surgery + trt, d, control = control)
out$jasa <- list(call = "tmerge(jasa, trt = tdc(txtime))", nrow = nrow(d), digest = digest(d[c("subject", "tstart", "tstop", "death", "trt")]), counts = counts(d), cox = fitted(fit))

# Random records: ties of all kinds, before entry, after exit, in gaps, missing, of unknown people
random <- function(seed, na.rm, delay) {
  set.seed(seed)
  base <- data.frame(id = sample(100, 8), z = 0)
  spans <- do.call(rbind, lapply(seq_along(base$id), function(i) {
    k <- sample(3, 1)
    t <- sort(sample(-2:12, 2 * k))
    a <- t[c(TRUE, FALSE)]; b <- t[c(FALSE, TRUE)]
    if (k > 1) b[1] <- a[2]
    data.frame(id = base$id[i], a = a, b = b)
  }))
  spans$last <- as.integer(!duplicated(spans$id, fromLast = TRUE)) * sample(0:2, nrow(spans), TRUE)
  m <- 50
  v <- data.frame(id = sample(c(base$id, 999), m, TRUE), t = sample(c(NA, seq(-4, 14, by = 0.5)), m, TRUE),
    y = sample(c(NA, 0, 0.5, 1, 2, 3), m, TRUE), u = sample(0:2, m, TRUE))
  d <- tmerge(base, spans, id = id, tstart = a, tstop = b)
  # the event of the base frame is an event at the end of each span
  d <- tmerge(d, spans, id = id, last = event(b, last))
  d <- tmerge(d, v, id = id, x = tdc(t, y), x0 = tdc(t, y, -1), on = tdc(t), n = cumtdc(t), sum = cumtdc(t, y),
    sum5 = cumtdc(t, y, 5), options = list(na.rm = na.rm, delay = delay))
  d <- tmerge(d, v, id = id, e = event(t), u = event(t, u), k = cumevent(t), ku = cumevent(t, u), y = event(t, y),
    last = event(t, u), options = list(na.rm = TRUE))
  d$z <- NULL
  list(na.rm = na.rm, delay = delay, spans = as.list(spans), visits = as.list(v), rows = as.list(as.data.frame(d)), counts = counts(d))
}
out$random <- list(random(1, TRUE, 0), random(2, FALSE, 0), random(3, TRUE, 0), random(4, TRUE, 1.25), random(5, FALSE, 0.5), random(6, TRUE, 0))

cuts <- c(365, 90, 180)
d <- survSplit(Surv(time, status) ~ age + sex, lung, cut = cuts, episode = "episode", id = "row")
fit <- coxph(Surv(tstart, time, status) ~ age + sex:strata(episode), d, control = control)
out$split_lung <- list(call = "survSplit(lung, cut = c(365, 90, 180)); coxph(age + sex:strata(episode))", nrow = nrow(d), digest = digest(d[c("row", "tstart", "time", "status", "episode", "age")]), cox = fitted(fit))
cuts <- c(100, 10, 0, 50)
d <- survSplit(Surv(start, stop, event) ~ id + age, heart, cut = cuts, episode = "episode")
out$split_heart <- list(call = "survSplit(heart, cut = c(100, 10, 0, 50))", nrow = nrow(d), digest = digest(d[c("id", "start", "stop", "event", "episode")]))

# Landmarks by hand: at risk if time > s, last known bilirubin at or before s, follow-up to s + 5 years
year <- 365.25
sets <- do.call(rbind, lapply(c(1, 2, 3) * year, function(s) {
  v <- pbcseq[pbcseq$day <= s & !is.na(pbcseq$bili), ]
  v <- v[order(v$id, v$day), ]
  v <- v[!duplicated(v$id, fromLast = TRUE), ]
  r <- subset(base, time > s)
  k <- match(r$id, v$id)
  data.frame(id = r$id, age = r$age, entry = s, time = pmin(r$time, s + 5 * year), died = as.integer(r$status == 2 & r$time <= s + 5 * year),
    bili = ifelse(s - v$day[k] <= 400, v$bili[k], NA), landmark = s)
}))
fit <- coxph(Surv(entry, time, died) ~ log(bili) + age + strata(landmark), sets, cluster = id, control = control)
out$landmark <- list(call = "last bili at or before s, at most 400 days old; coxph strata(landmark), cluster = id", nrow = nrow(sets), digest = digest(sets), cox = fitted(fit))

out$versions <- list(R = R.version.string, survival = as.character(packageVersion("survival")))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, na = "null")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
