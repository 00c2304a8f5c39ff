# CPU seconds of R's survival and cmprsk on a matrix of doubles: Rscript peers.R TASK FILE COLUMNS REPEATS
suppressPackageStartupMessages({library(survival); if (requireNamespace("cmprsk", quietly = TRUE)) library(cmprsk)})
args <- commandArgs(trailingOnly = TRUE)
names <- strsplit(args[3], ",")[[1]]
size <- file.info(args[2])$size / 8
d <- as.data.frame(matrix(readBin(args[2], "double", size), ncol = length(names)))
colnames(d) <- names
x <- grep("^x", names, value = TRUE)
right <- paste(x, collapse = " + ")
cpu <- function(expression) sum(system.time(expression, gcFirst = TRUE)[1:2])
task <- switch(args[1],
  cox = function() coef(coxph(as.formula(paste("Surv(time, event) ~", right)), d)),
  start_stop = function() coef(coxph(as.formula(paste("Surv(start, stop, event) ~", right)), d)),
  bootstrap = function() {
    f <- as.formula(paste("Surv(time, event) ~", right))
    set.seed(1)
    b <- sapply(1:50, function(i) coef(coxph(f, d[sample(nrow(d), replace = TRUE), ])))
    b[, 1]
  },
  concordance = function() unlist(concordance(Surv(time, event) ~ x0, d, reverse = TRUE)[c("concordance", "var")]),
  fine_gray = function() { f <- crr(d$time, d$event, as.matrix(d[, x])); c(f$coef, sqrt(diag(f$var))) }
)
best <- Inf
for (i in seq_len(as.integer(args[4]))) best <- min(best, cpu(value <- task()))
cat(format(best, digits = 6), format(unname(value), digits = 15), "\n")
