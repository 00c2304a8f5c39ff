# Reference numbers for tests/survival/learners/test_coxnet.py.
#   python ../make_inputs.py inputs && Rscript generate.R inputs
# writes expected.json and sessionInfo.txt beside this file. Needs glmnet, survival, jsonlite.
# The cases "stored_*" come from another run of the same versions and are kept as they are (thresh as in their call).
#
# glmnet orders censored times behind events at the same time by adding 2e-14, which is lost in times beyond about 128.
# Times are therefore given in units that keep them small: a Cox model does not depend on the unit.
library(glmnet); library(survival); library(jsonlite)
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
veteran <- data("veteran"); pbc <- data("pbc")
version <- paste("glmnet", packageVersion("glmnet"))
out <- list()
glmnet.control(fdev = 1e-5)
tight <- 1e-22

vx <- model.matrix(~ trt + factor(celltype, c("squamous", "smallcell", "adeno", "large")) + karno + diagtime + age + prior, veteran)[, -1]
colnames(vx) <- c("trt", "smallcell", "adeno", "large", "karno", "diagtime", "age", "prior")
vy <- Surv(veteran$time / 1000, veteran$status)
px <- c("age", "edema", "bili", "albumin", "protime", "stage", "platelet", "copper", "ast", "chol")
pbc <- pbc[complete.cases(pbc[c(px, "time", "status")]), ]
px <- as.matrix(pbc[px]); py <- Surv(pbc$time / 1000, pbc$status == 2)
few <- c(0.3, 0.1, 0.05, 0.01)

keep <- function(id, call, f) {
  out[[id]] <<- list(call = call, package = version, lambda = f$lambda, coef = unname(t(as.matrix(f$beta))),
                     dev_ratio = f$dev.ratio, nulldev = f$nulldev, df = f$df)
}
fit <- function(id, data, ...) {
  call <- paste(deparse(substitute(list(...)), 500), collapse = "")
  x <- if (data == "veteran") vx else px; y <- if (data == "veteran") vy else py
  f <- glmnet(x, y, family = "cox", thresh = tight, maxit = 1e8, ...)
  keep(id, paste0("glmnet(", data, ", ", sub("^list\\(", "", call)), f)
}
for (a in c(0, 0.2, 0.5, 0.8, 1)) fit(paste0("veteran_", a), "veteran", alpha = a, lambda = few)
vw <- 1 + (seq_len(nrow(vx)) - 1) %% 3 / 2
fit("veteran_weights", "veteran", alpha = 0.5, lambda = few, weights = vw)
fit("veteran_factor", "veteran", alpha = 0.5, lambda = few, penalty.factor = c(0, 1, 1, 1, 2, 0.5, 1, 1))
fit("veteran_exclude", "veteran", alpha = 0.5, lambda = few, penalty.factor = c(1, 1, 1, 1, Inf, 2, 1, 1))
fit("veteran_raw", "veteran", alpha = 0.5, lambda = few, standardize = FALSE)
fit("pbc_path_1", "pbc", alpha = 1, nlambda = 50)
fit("pbc_path_0.5", "pbc", alpha = 0.5, nlambda = 100)
fit("pbc_path_factor", "pbc", alpha = 0.7, nlambda = 30, penalty.factor = c(0, 1, 1, 1, 1, 2, 1, 1, 1, 1))
fit("pbc_path_ratio", "pbc", alpha = 0.9, nlambda = 20, lambda.min.ratio = 0.05)
fit("pbc_ridge", "pbc", alpha = 0, lambda = c(1, 0.1, 0.01))

# more features than rows: products of the columns, first 45 rows
pairs <- combn(ncol(px), 2)
wide <- cbind(px, apply(pairs, 2, function(k) px[, k[1]] * px[, k[2]]))[1:45, ]
f <- glmnet(wide, py[1:45, ], family = "cox", alpha = 0.5, nlambda = 40, thresh = tight, maxit = 1e8)
keep("pbc_wide", "glmnet(products of columns, 45 rows, alpha = 0.5, nlambda = 40)", f)

# Delayed entry has no case: glmnet's start-stop fits did not converge (and at lambda = 0 were not those of coxph).

# cross-validation, folds given
cv <- function(id, call, f) {
  out[[id]] <<- list(call = call, package = version, lambda = f$lambda, cvm = unname(f$cvm), cvsd = unname(f$cvsd),
                     nzero = unname(f$nzero), lambda_min = f$lambda.min, lambda_1se = f$lambda.1se)
}
lam <- exp(seq(log(0.3), log(0.003), length.out = 25))
fold <- (seq_len(nrow(px)) - 1) %% 6 + 1
cv("cv_deviance", "cv.glmnet(pbc, alpha = 0.5, foldid = (0:277 %% 6) + 1)",
   cv.glmnet(px, py, family = "cox", alpha = 0.5, lambda = lam, foldid = fold, thresh = tight, maxit = 1e8))
cv("cv_concordance", "cv.glmnet(pbc, alpha = 0.5, foldid = (0:277 %% 6) + 1, type.measure = 'C')",
   cv.glmnet(px, py, family = "cox", alpha = 0.5, lambda = lam, foldid = fold, type.measure = "C", thresh = tight, maxit = 1e8))
pw <- 1 + (seq_len(nrow(px)) - 1) %% 3 / 2
cv("cv_weights", "cv.glmnet(pbc, alpha = 1, weights, foldid)",
   cv.glmnet(px, py, family = "cox", alpha = 1, lambda = lam, foldid = fold, weights = pw, thresh = tight, maxit = 1e8))

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
stored <- file.path(here, "stored.json")
out <- c(out, fromJSON(stored, simplifyVector = FALSE))
write(toJSON(out, digits = NA, auto_unbox = TRUE, null = "null"), file.path(here, "expected.json"))
writeLines(capture.output(sessionInfo()), file.path(here, "sessionInfo.txt"))
