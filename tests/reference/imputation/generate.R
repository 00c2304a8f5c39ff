# Reference numbers for tests/imputation, from R's mice, mitml and survival.
#   python ../survival/make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. Takes about two minutes.
suppressPackageStartupMessages({library(mice); library(mitml); library(survival); library(jsonlite)})
folder <- commandArgs(trailingOnly = TRUE)[1]
pbc <- read.csv(file.path(folder, "pbc.csv"))
pbc$died <- as.integer(pbc$status == 2)
out <- list()
version <- function(p) as.character(packageVersion(p))
out$packages <- list(R = as.character(getRversion()), mice = version("mice"), mitml = version("mitml"),
                     survival = version("survival"))

# 1. Rubin's rules on stored imputations ---------------------------------------------------------------------------
used <- pbc[, c("time", "died", "age", "bili", "chol", "trig", "platelet")]
imp <- mice(used, m = 6, seed = 11, maxit = 5, printFlag = FALSE)
pooled <- function(fits, dfcom = NULL) {
  p <- summary(pool(fits, dfcom = dfcom), type = "all", conf.int = TRUE, conf.level = 0.9)
  list(term = as.character(p$term), estimate = p$estimate, std_error = p$std.error, statistic = p$statistic, df = p$df,
       p_value = p$p.value, conf_low = p[["5 %"]], conf_high = p[["95 %"]], fmi = p$fmi, lambda = p$lambda, riv = p$riv,
       df_complete = p$dfcom[1])
}
tests <- function(fits, null, terms, df.com) {
  fits <- as.mitml.result(fits$analyses); null <- as.mitml.result(null$analyses)
  one <- function(method, df.com = NULL) {
    r <- testModels(fits, null, method = method, df.com = df.com)$test
    list(terms = terms, method = method, df_complete = df.com, statistic = r[1, 1], df1 = r[1, 2], df2 = r[1, 3],
         p_value = r[1, 4])
  }
  list(one("D1"), one("D1", df.com), one("D2"))
}
out$values <- lapply(imp$imp[c("chol", "trig", "platelet")], function(v) unname(as.matrix(v)))
fits <- with(imp, coxph(Surv(time, died) ~ age + bili + chol + platelet, control = coxph.control(eps = 1e-12, toler.chol = 1e-13)))
null <- with(imp, coxph(Surv(time, died) ~ age + bili))
out$cox <- c(list(call = "pool(with(imp, coxph(Surv(time, died) ~ age + bili + chol + platelet)))"), pooled(fits),
             list(tests = tests(fits, null, c("chol", "platelet"), 157)))
fits <- with(imp, lm(log(bili) ~ age + chol + trig))
null <- with(imp, lm(log(bili) ~ age))
out$lm <- c(list(call = "pool(with(imp, lm(log(bili) ~ age + chol + trig)))"), pooled(fits),
            list(tests = tests(fits, null, c("chol", "trig"), 414)))
out$lm_infinite <- c(list(call = "pool(with(imp, lm(log(bili) ~ age + chol + trig)), dfcom = Inf)"), pooled(fits, Inf))
fits <- with(imp, glm(I(bili > 2) ~ age + chol, family = binomial, control = list(epsilon = 1e-14)))
out$glm <- c(list(call = "pool(with(imp, glm(I(bili > 2) ~ age + chol, family = binomial)))"), pooled(fits))
f <- survfit(Surv(time, died) ~ 1, pbc)  # mice's own nelsonaalen() lets ties leave one by one, after Efron
out$nelson_aalen <- list(call = "survfit(Surv(time, died) ~ 1)$cumhaz", values = f$cumhaz[match(pbc$time, f$time)])

# 2. Distribution of what is imputed -------------------------------------------------------------------------------
# means over imputations of coefficients fitted to the completed data, and their variance between imputations
M <- 200
spread <- function(call, data, methods, fits) {
  ini <- mice(data, maxit = 0)
  meth <- ini$method; meth[names(methods)] <- methods
  pred <- ini$predictorMatrix; if ("time" %in% names(data)) pred[, "time"] <- 0
  imp <- mice(data, m = M, method = meth, predictorMatrix = pred, maxit = 10, seed = 5, printFlag = FALSE)
  found <- lapply(seq_len(M), function(i) fits(complete(imp, i)))
  est <- t(sapply(found, `[[`, "est")); se <- t(sapply(found, `[[`, "se"))
  list(call = call, m = M, term = names(found[[1]]$est), estimate = colMeans(est), within = colMeans(se^2),
       between = apply(est, 2, var))
}
base <- pbc[, c("time", "died", "age", "bili", "chol", "platelet", "spiders", "stage", "ast")]
base$H <- nelsonaalen(pbc, time, died)
base$spiders <- factor(base$spiders)
cox <- function(d) {
  d$stage <- as.numeric(as.character(d$stage))
  f <- coxph(Surv(time, died) ~ age + log(bili) + I(chol / 100) + I(platelet / 100) + spiders + stage + I(ast / 100), d)
  list(est = coef(f), se = sqrt(diag(vcov(f))))
}
model <- "coxph(Surv(time, died) ~ age + log(bili) + chol/100 + platelet/100 + spiders + stage + ast/100)"
ordered_stage <- transform(base, stage = factor(stage, ordered = TRUE))
out$mixed_polr <- spread(paste("mice: chol pmm, platelet norm, spiders logreg, stage polr, ast pmm;", model), ordered_stage,
                         c(chol = "pmm", platelet = "norm", spiders = "logreg", stage = "polr", ast = "pmm"), cox)
plain_stage <- transform(base, stage = factor(stage))
out$mixed_polyreg <- spread(paste("mice: all numbers norm, spiders logreg, stage polyreg;", model), plain_stage,
                            c(chol = "norm", platelet = "norm", spiders = "logreg", stage = "polyreg", ast = "norm"), cox)

write(toJSON(out, digits = 17, auto_unbox = TRUE, null = "null"), "expected.json")
writeLines(capture.output(sessionInfo()), "sessionInfo.txt")
