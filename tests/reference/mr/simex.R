# Simulation-extrapolation with lm(), written from the formulas of Cook & Stefanski and of Bowden et al.
# Run here: Rscript simex.R 40000 (two minutes); it prints the numbers of simex.json.
args <- commandArgs(TRUE)
B <- as.integer(args[1]); batches <- 100
set.seed(11)
run <- function(d, name) {
  s <- ifelse(d$bx < 0, -1, 1); x <- abs(d$bx); y <- s * d$by; w <- 1 / d$sy^2; n <- length(x)
  naive <- lm(y ~ x, weights = w)
  lam <- c(0.5, 1, 1.5, 2); all <- c(0, lam)
  one <- function(b) {
    est <- matrix(coef(naive), 1); va <- matrix(diag(vcov(naive)), 1)
    for (l in lam) {
      e <- t(replicate(b, {
        z <- x + sqrt(l) * d$sx * rnorm(n)
        f <- lm(y ~ z, weights = w)
        c(coef(f), diag(vcov(f)))
      }))
      est <- rbind(est, colMeans(e[, 1:2])); va <- rbind(va, colMeans(e[, 3:4]) - diag(cov(e[, 1:2])))
    }
    at <- function(v) predict(lm(v ~ all + I(all^2)), newdata = data.frame(all = -1))
    c(at(est[, 1]), at(est[, 2]), at(va[, 1]), at(va[, 2]), va[-1, ], est[-1, ])
  }
  r <- t(replicate(batches, one(B / batches)))
  m <- colMeans(r)[1:4]; s <- (apply(r, 2, sd) / sqrt(batches))[1:4]
  p <- 2 * pt(-abs(m[1:2] / sqrt(m[3:4])), n - 2)
  data.frame(dataset = name, term = c("intercept", "effect"), estimate = m[1:2], variance = m[3:4], p_value = p,
             estimate_error = s[1:2], variance_error = s[3:4], n_draws = B)
}
w <- read.csv("simex_weak.csv"); names(w) <- c("bx", "sx", "by", "sy")
t <- read.csv("twosamplemr_harmonised_bmi_chd_dat.csv"); t <- t[t$mr_keep, ]
t <- data.frame(bx = t$beta.exposure, sx = t$se.exposure, by = t$beta.outcome, sy = t$se.outcome)
out <- rbind(run(w, "simex_weak"), run(t, "bmi_chd"))
print(format(out, digits = 12))

# The same with the ten draws per lambda of simex_draws.csv on simex_weak (same_draws in simex.json).
e <- as.matrix(read.csv("simex_draws.csv", header = FALSE)); s <- ifelse(w$bx < 0, -1, 1)
x <- abs(w$bx); y <- s * w$by; lam <- c(0.5, 1, 1.5, 2); all <- c(0, lam); naive <- lm(y ~ x, weights = 1 / w$sy^2)
est <- matrix(coef(naive), 1); va <- matrix(diag(vcov(naive)), 1)
for (i in 1:4) {
  r <- t(sapply(1:10, function(b) {
    z <- x + sqrt(lam[i]) * w$sx * e[(i - 1) * 10 + b, ]; f <- lm(y ~ z, weights = 1 / w$sy^2)
    c(coef(f), diag(vcov(f)))
  }))
  est <- rbind(est, colMeans(r[, 1:2])); va <- rbind(va, colMeans(r[, 3:4]) - diag(cov(r[, 1:2])))
}
at <- function(v) predict(lm(v ~ all + I(all^2)), newdata = data.frame(all = -1))
print(c(at(est[, 2]), at(est[, 1]), at(va[, 2]), at(va[, 1])), digits = 12)
