# Reference numbers for tests/survival/test_rmst.py and test_pseudo.py.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. Needs survival, survRM2, geepack, sandwich, jsonlite.
library(survival); library(survRM2); library(geepack); library(sandwich); library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
lung <- data("lung"); veteran <- data("veteran"); ovarian <- data("ovarian"); pbc <- data("pbc"); heart <- data("heart")
rotterdam <- data("rotterdam"); mgus2 <- data("mgus2_cr"); aml <- data("aml")
out <- list()

# --- survRM2. Its glm() calls are run to a tighter criterion than the default.
tight <- function(f) {
  text <- gsub('family = "quasipoisson"', 'family = "quasipoisson", control = stats::glm.control(1e-15, 100)', deparse(f), fixed = TRUE)
  g <- eval(parse(text = text)); environment(g) <- environment(f); g
}
assignInNamespace("rmst2reg", tight(survRM2:::rmst2reg), "survRM2")
version <- paste("survRM2", packageVersion("survRM2"))
rm2 <- function(id, call, time, status, arm, tau = NULL, covariates = NULL) {
  f <- rmst2(time, as.numeric(status), as.numeric(arm), tau = tau, covariates = covariates)
  case <- list(call = call, package = version, tau = f$tau)
  if (is.null(covariates)) {
    case$arm0 <- unname(f$RMST.arm0$rmst); case$arm1 <- unname(f$RMST.arm1$rmst)
    case$rmtl0 <- unname(f$RMST.arm0$rmtl); case$contrasts <- unname(f$unadjusted.result)
  } else {
    case$terms <- rownames(f$RMST.difference.adjusted)
    case$contrasts <- unname(f$adjusted.result); case$difference <- unname(f$RMST.difference.adjusted)
    case$ratio <- unname(f$RMST.ratio.adjusted); case$lost <- unname(f$RMTL.ratio.adjusted)
  }
  out[[id]] <<- case
}
rm2("lung_730", "rmst2(time, status, sex == 2, tau = 730)", lung$time, lung$status, lung$sex == 2, 730)
rm2("lung_default", "rmst2(time, status, sex == 2)", lung$time, lung$status, lung$sex == 2)
rm2("veteran_default", "rmst2(time, status, trt == 2)", veteran$time, veteran$status, veteran$trt == 2)
rm2("ovarian_default", "rmst2(futime, fustat, rx == 2)", ovarian$futime, ovarian$fustat, ovarian$rx == 2)
rm2("aml_default", "rmst2(time, cens, group == 2)", aml$time, aml$cens, aml$group == 2)
pbc <- pbc[1:312, ]; pbc$years <- pbc$time / 365.25; pbc$dead <- pbc$status == 2
rm2("pbc_10", "rmst2(years, status == 2, trt == 2, tau = 10)", pbc$years, pbc$dead, pbc$trt == 2, 10)
rm2("rotterdam_3000", "rmst2(dtime, death, hormon, tau = 3000)", rotterdam$dtime, rotterdam$death, rotterdam$hormon, 3000)
rm2("lung_age", "rmst2(time, status, sex == 2, tau = 730, covariates = age)", lung$time, lung$status, lung$sex == 2, 730, cbind(age = lung$age))
known <- lung[complete.cases(lung[c("age", "ph.ecog", "ph.karno")]), ]
rm2("lung_three", "rmst2(time, status, sex == 2, tau = 365, covariates = cbind(age, ph.ecog, ph.karno))", known$time, known$status,
    known$sex == 2, 365, as.matrix(known[c("age", "ph.ecog", "ph.karno")]))
rm2("lung_factor", "rmst2(time, status, sex == 2, tau = 500, covariates = model.matrix(~ factor(ph.ecog) + age)[, -1]), ph.ecog < 3",
    known$time[known$ph.ecog < 3], known$status[known$ph.ecog < 3], known$sex[known$ph.ecog < 3] == 2, 500,
    model.matrix(~ factor(ph.ecog) + age, known[known$ph.ecog < 3, ])[, -1])
rm2("lung_default_age", "rmst2(time, status, sex == 2, covariates = age)", lung$time, lung$status, lung$sex == 2, NULL, cbind(age = lung$age))
rm2("veteran_adjusted", "rmst2(time, status, trt == 2, tau = 300, covariates = cbind(karno, age, prior))", veteran$time, veteran$status,
    veteran$trt == 2, 300, as.matrix(veteran[c("karno", "age", "prior")]))
rm2("pbc_adjusted", "rmst2(years, status == 2, trt == 2, tau = 10, covariates = cbind(age, bili, albumin))", pbc$years, pbc$dead,
    pbc$trt == 2, 10, as.matrix(pbc[c("age", "bili", "albumin")]))
rm2("rotterdam_adjusted", "rmst2(dtime, death, hormon, tau = 3000, covariates = cbind(age, nodes, pgr))", rotterdam$dtime, rotterdam$death,
    rotterdam$hormon, 3000, as.matrix(rotterdam[c("age", "nodes", "pgr")]))

# --- print(survfit, rmean = tau): one curve, three curves, delayed entry
rmean <- function(id, call, fit, tau) {
  m <- rbind(summary(fit, rmean = tau)$table)
  out[[id]] <<- list(call = call, package = paste("survival", packageVersion("survival")), tau = tau, rmean = unname(m[, "rmean"]), se = unname(m[, "se(rmean)"]))
}
rmean("km_lung", "survfit(Surv(time, status) ~ 1)", survfit(Surv(time, status) ~ 1, lung), 365)
rmean("km_celltype", "survfit(Surv(time, status) ~ celltype)", survfit(Surv(time, status) ~ celltype, veteran), 150)
rmean("km_heart", "survfit(Surv(start, stop, event) ~ 1)", survfit(Surv(start, stop, event) ~ 1, heart), 300)
lung$w <- 1 + (lung$age %% 3) / 2
fit <- survfit(Surv(time, status) ~ sex, lung, weights = w)
r <- residuals(fit, times = 500, type = "auc", weighted = TRUE)
out$km_weighted <- list(call = "survfit(Surv(time, status) ~ sex, weights = w); robust se from residuals(type = 'auc')", tau = 500,
  rmean = unname(summary(fit, rmean = 500)$table[, "rmean"]), se = as.vector(sqrt(tapply(r^2, lung$sex, sum))))

# --- pseudo-observations: survival::pseudo
some <- function(x) { x <- as.matrix(x); list(sum = colSums(x), square = colSums(x^2), rows = x[seq(1, nrow(x), by = 40), , drop = FALSE]) }
times <- c(100, 365, 700)
fit <- survfit(Surv(time, status) ~ 1, lung)
one <- function(id, call, value) out[[id]] <<- c(list(call = call, package = paste("survival", packageVersion("survival"))), some(value))
one("pseudo_survival", "pseudo(survfit(Surv(time, status) ~ 1), times = c(100, 365, 700))", pseudo(fit, times = times))
one("pseudo_rmst", "the same, type = 'rmst'", pseudo(fit, times = times, type = "rmst"))
one("pseudo_hazard", "the same, type = 'cumhaz'", pseudo(fit, times = times, type = "cumhaz"))
fit <- survfit(Surv(time, status) ~ sex, lung)
one("pseudo_survival_sex", "pseudo(survfit(Surv(time, status) ~ sex), times = c(100, 365, 700))", pseudo(fit, times = times))
one("pseudo_rmst_sex", "the same, type = 'rmst'", pseudo(fit, times = times, type = "rmst"))
mgus2$ev <- factor(mgus2$event, 0:2)
fit <- survfit(Surv(etime, ev) ~ 1, mgus2)
for (cause in 1:2) {
  one(paste0("pseudo_incidence_", cause), "pseudo(survfit(Surv(etime, ev) ~ 1), times = c(60, 120, 240))", pseudo(fit, times = c(60, 120, 240))[, , 1 + cause])
  one(paste0("pseudo_rmtl_", cause), "the same, type = 'rmst'", pseudo(fit, times = c(60, 120, 240), type = "rmst")[, , 1 + cause])
}

# --- regression on them: geepack, independence
gee <- function(id, call, formula, long, link) {
  mean <- mean(long$y)
  start <- switch(link, identity = mean, log = log(mean), logit = qlogis(mean), cloglog = log(-log(1 - mean)))
  design <- model.matrix(formula, long)
  b <- ifelse(grepl("^tp|Intercept", colnames(design)), start, 0)
  f <- geese(formula, id = id, data = long, b = b, gm = 1, family = gaussian, mean.link = link, corstr = "independence", scale.fix = TRUE,
             control = geese.control(epsilon = 1e-14, maxit = 200))
  out[[id]] <<- list(call = call, package = paste("geepack", packageVersion("geepack")), terms = names(f$beta), coef = unname(f$beta), se = sqrt(diag(f$vbeta)))
}
long_of <- function(frame, value, times, id) {
  m <- length(times); l <- frame[rep(seq_len(nrow(frame)), each = m), ]
  l$id <- rep(id, each = m); l$tp <- factor(rep(times, nrow(frame))); l$y <- as.vector(t(value)); l[order(l$id), ]
}
times <- c(180, 365, 545)
p <- pseudo(survfit(Surv(time, status) ~ 1, lung), times = times)
long <- long_of(lung, p, times, seq_len(nrow(lung)))
for (link in c("identity", "log", "logit"))
  gee(paste0("gee_survival_", link), paste0("geese(pseudo ~ 0 + factor(time) + sex + age, mean.link = '", link, "')"), y ~ 0 + tp + sex + age, long, link)
long$y <- 1 - long$y
gee("gee_survival_cloglog", "geese(1 - pseudo ~ 0 + factor(time) + sex + age, mean.link = 'cloglog')", y ~ 0 + tp + sex + age, long, "cloglog")
seen <- lung[!is.na(lung$inst), ]
p <- pseudo(survfit(Surv(time, status) ~ 1, seen), times = 500, type = "rmst")
gee("gee_rmst_cluster", "geese(pseudo ~ sex + age, id = inst), rmst to 500", y ~ sex + age, long_of(seen, as.matrix(as.vector(p)), 500, seen$inst), "identity")
p <- as.vector(pseudo(survfit(Surv(time, status) ~ 1, lung), times = 500, type = "rmst"))
f <- lm(p ~ sex + age, lung)
out$lm_rmst <- list(call = "lm(pseudo ~ sex + age), vcovHC(type = 'HC0'), rmst to 500", terms = names(coef(f)), coef = unname(coef(f)), se = unname(sqrt(diag(vcovHC(f, "HC0")))))
gee("gee_rmst_log", "geese(pseudo ~ sex + age, mean.link = 'log'), rmst to 500", y ~ sex + age, long_of(lung, as.matrix(p), 500, seq_len(nrow(lung))), "log")
times <- c(60, 120, 240)
mgus2$male <- as.numeric(mgus2$sex == "M")
p <- pseudo(fit, times = times)[, , 2]
long <- long_of(mgus2, p, times, seq_len(nrow(mgus2)))
gee("gee_incidence_cloglog", "geese(pseudo ~ 0 + factor(time) + age + male, mean.link = 'cloglog'), cause 1", y ~ 0 + tp + age + male, long, "cloglog")
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(FALSE), value = TRUE)))
write_json(out, file.path(here, "expected.json"), digits = NA, auto_unbox = TRUE, pretty = FALSE)
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), file.path(here, "sessionInfo.txt"))
