# Reference numbers for person-years, rates and standardised ratios: survival::pyears and stats::poisson.test.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file.
library(survival)
library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
out <- list()
mgus2 <- data("mgus2"); heart <- data("heart"); colon <- data("colon"); rotterdam <- data("rotterdam")
mgus2$months <- mgus2$age * 12
mgus2$began <- mgus2$dxyr * 12
heart$w <- 1 + heart$id %% 3

table_of <- function(id, call, fit) {
  d <- as.data.frame.table(fit$pyears, responseName = "person_time")
  d$n_event <- as.vector(fit$event)
  d$n <- as.vector(fit$n)
  d <- d[d$n > 0, ]
  ci <- sapply(seq_len(nrow(d)), function(i) poisson.test(round(d$n_event[i]), d$person_time[i])$conf.int)
  rest <- d[setdiff(names(d), c("person_time", "n_event", "n"))]
  out[[id]] <<- list(call = call, cells = as.list(lapply(rest, as.character)), n = d$n, n_event = d$n_event,
    person_time = d$person_time, conf_low = ci[1, ], conf_high = ci[2, ], offtable = fit$offtable)
}
table_of("mgus2_sex", "Surv(futime, death) ~ sex", pyears(Surv(futime, death) ~ sex, mgus2, scale = 1))
table_of("mgus2_years", "Surv(futime, death) ~ sex, scale = 365.25 / 30.4375", pyears(Surv(futime, death) ~ sex, mgus2, scale = 12))
table_of("mgus2_age", "Surv(futime, death) ~ sex + tcut(age * 12, ...)",
  pyears(Surv(futime, death) ~ sex + tcut(months, c(0, 50, 60, 70, 80, 200) * 12), mgus2, scale = 1))
table_of("mgus2_age_period", "Surv(futime, death) ~ tcut(age * 12, ...) + tcut(dxyr * 12, ...)",
  pyears(Surv(futime, death) ~ tcut(months, c(0, 50, 60, 70, 80, 200) * 12) + tcut(began, c(0, 1975, 1980, 1990, 3000) * 12), mgus2, scale = 1))
table_of("mgus2_followup", "Surv(futime, death) ~ tcut(0, ...)",
  pyears(Surv(futime, death) ~ tcut(rep(0, nrow(mgus2)), c(0, 12, 60, 120, 1e4)), mgus2, scale = 1))
# of start-stop rows pyears wants a scale's value at time zero, not at the start of the row
table_of("heart_entry", "Surv(start, stop, event) ~ surgery + tcut(0, ...)",
  pyears(Surv(start, stop, event) ~ surgery + tcut(rep(0, nrow(heart)), c(0, 30, 180, 1e4)), heart, scale = 1))
table_of("heart_weights", "Surv(start, stop, event) ~ surgery, weights = w",
  pyears(Surv(start, stop, event) ~ surgery, heart, scale = 1, weights = w))

pair <- function(id, call, event, time) {
  test <- poisson.test(event, time)
  out[[id]] <<- list(call = call, event = event, time = time, estimate = unname(test$estimate), p_value = test$p.value,
    conf_low = test$conf.int[1], conf_high = test$conf.int[2], conf90 = poisson.test(event, time, conf.level = 0.9)$conf.int)
}
rate_pair <- function(id, call, d, group, time, event) {
  groups <- sort(unique(d[[group]]), decreasing = TRUE)
  pair(id, call, sapply(groups, function(g) sum(d[d[[group]] == g, event])), sapply(groups, function(g) sum(d[d[[group]] == g, time])))
}
rate_pair("colon_sex", "Surv(time, status) ~ sex, etype 2", colon[colon$etype == 2, ], "sex", "time", "status")
rate_pair("mgus2_ratio", "Surv(futime, death) ~ sex", transform(mgus2, male = as.integer(sex == "M")), "male", "futime", "death")
heart$wait <- heart$stop - heart$start
rate_pair("heart_surgery", "Surv(start, stop, event) ~ surgery", heart, "surgery", "wait", "event")
rate_pair("rotterdam_hormon", "Surv(dtime, death) ~ hormon, age > 80", rotterdam[rotterdam$age > 80, ], "hormon", "dtime", "death")

# counts against a known mean
out$one_sample <- lapply(list(c(7, 0.436), c(4, 3.3), c(0, 2), c(1, 1), c(11, 0.5), c(64, 40), c(3, 9.7), c(980, 1040.5), c(25, 25.3)),
  function(x) { test <- poisson.test(x[1], x[2])
    list(observed = x[1], expected = x[2], p_value = test$p.value, conf_low = test$conf.int[1], conf_high = test$conf.int[2],
      conf90 = poisson.test(x[1], x[2], conf.level = 0.9)$conf.int) })

# indirect standardisation: reference rates per month by sex, age and period
cells <- pyears(Surv(futime, death) ~ sex + tcut(months, c(0, 50, 60, 70, 80, 200) * 12) + tcut(began, c(0, 1980, 3000) * 12), mgus2, scale = 1)
rate <- outer(outer(c(F = 1, M = 1.5), c(0.001, 0.002, 0.005, 0.01, 0.02)), c(1, 0.8))
expected <- apply(cells$pyears * rate, 1, sum)
observed <- apply(cells$event, 1, sum)
out$smr <- list(observed = unname(observed), expected = unname(expected),
  p_value = sapply(1:2, function(i) poisson.test(observed[i], expected[i])$p.value),
  conf_low = sapply(1:2, function(i) poisson.test(observed[i], expected[i])$conf.int[1]),
  conf_high = sapply(1:2, function(i) poisson.test(observed[i], expected[i])$conf.int[2]))

# direct standardisation by age, gamma limits of Fay and Feuer (1997)
cells <- pyears(Surv(futime, death) ~ sex + tcut(months, c(0, 50, 60, 70, 80, 200) * 12), mgus2, scale = 1)
share <- c(50, 20, 15, 10, 5) / 100
direct <- lapply(1:2, function(i) {
  v <- share / cells$pyears[i, ]; d <- cells$event[i, ]
  y <- sum(v * d); s2 <- sum(v^2 * d); wm <- max(v)
  list(rate = y, se = sqrt(s2), conf_low = s2 / (2 * y) * qchisq(0.025, 2 * y^2 / s2),
    conf_high = (s2 + wm^2) / (2 * (y + wm)) * qchisq(0.975, 2 * (y + wm)^2 / (s2 + wm^2)))
})
out$direct <- direct
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
