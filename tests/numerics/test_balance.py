"""Balance measures: worked by hand, and by brute force."""

import numpy as np
import pytest

from dxa_causal._numerics.balance import effective_sample_size, measure_balance, standardise

EXACT = 1e-12

ARM = np.array([True, True, True, False, False, False, False])
AGE = np.array([1.0, 2, 6, 0, 2, 4, 6])
SEX = np.array([1.0, 1, 0, 0, 0, 0, 1])
ONE = np.ones(7)
WEIGHT = np.array([1.0, 1, 2, 1, 1, 1, 3])


def measured(denominator, weight=WEIGHT, x=(AGE, SEX), base=ONE):
    return measure_balance(np.column_stack(x), ARM, weight, base=base, denominator=denominator)


def test_means_and_differences_by_hand():
    found = measured("pooled")
    # treated: age (1 + 2 + 12) / 4, sex 2 / 4; controls: age (0 + 2 + 4 + 18) / 6, sex 3 / 6
    np.testing.assert_allclose(found.mean_treated, [15 / 4, 1 / 2], rtol=EXACT)
    np.testing.assert_allclose(found.mean_control, [4, 1 / 2], rtol=EXACT)
    np.testing.assert_allclose(found.difference_unadjusted, [0, 2 / 3 - 1 / 4], atol=1e-15)
    np.testing.assert_allclose(found.difference, [-1 / 4, 0], atol=1e-15)
    assert found.binary.tolist() == [False, True]


@pytest.mark.parametrize(
    ("denominator", "age", "sex"),
    [
        # variances with n - 1: treated 7, controls 20/3; proportions 2/3 and 1/4 without
        ("treated", 7, 2 / 9),
        ("control", 20 / 3, 3 / 16),
        ("pooled", (7 + 20 / 3) / 2, (2 / 9 + 3 / 16) / 2),
        # whole weighted sample: mean 39/10, sum w (x - m)^2 = 205 - 152.1, W / (W^2 - sum w^2) = 10 / (100 - 18)
        ("weighted", 52.9 * 10 / 82, 1 / 4),
    ],
)
def test_standard_deviation_by_hand(denominator, age, sex):
    found = measured(denominator)
    np.testing.assert_allclose(found.sd**2, [age, sex], rtol=EXACT)
    before, after = standardise(found)
    np.testing.assert_allclose(after, [-0.25 / np.sqrt(age), 0], atol=1e-15)
    np.testing.assert_allclose(before[1], (5 / 12) / np.sqrt(sex), rtol=EXACT)


def test_raw_binary_leaves_proportions():
    before, after = standardise(measured("pooled"), raw_binary=True)
    np.testing.assert_allclose([before[1], after[1]], [5 / 12, 0], atol=1e-15)
    assert after[0] == standardise(measured("pooled"))[1][0]


def test_variance_ratio_by_hand_and_missing_for_binary():
    found = measured("pooled")
    # weighted: treated 77 - 4 * 3.75^2 = 20.75, factor 4 / (16 - 6); controls 128 - 6 * 16 = 32, factor 6 / (36 - 12)
    np.testing.assert_allclose(found.variance_ratio[0], (20.75 * 0.4) / (32 * 0.25), rtol=EXACT)
    np.testing.assert_allclose(found.variance_ratio_unadjusted[0], 7 / (20 / 3), rtol=EXACT)
    assert np.isnan([found.variance_ratio[1], found.variance_ratio_unadjusted[1]]).all()


def test_ks_by_hand():
    found = measured("pooled")
    # after: F1 - F0 at 0: -1/6, 1: 1/4 - 1/6, 2: 1/2 - 2/6, 4: 1/2 - 3/6
    np.testing.assert_allclose(found.ks, [1 / 6, 0], atol=1e-15)
    # before: at 0: -1/4, 1: 1/3 - 1/4, 2: 2/3 - 1/2, 4: 2/3 - 3/4; binary: difference in proportion
    np.testing.assert_allclose(found.ks_unadjusted, [1 / 4, 5 / 12], rtol=EXACT)


def test_ks_brute_force_with_ties():
    rng = np.random.default_rng(0)
    x, arm, w = rng.integers(0, 12, 300).astype(float), rng.random(300) < 0.4, rng.exponential(size=300)
    found = measure_balance(x[:, None], arm, w, base=np.ones(300), denominator="pooled")
    gap = [abs(w[arm & (x <= t)].sum() / w[arm].sum() - w[~arm & (x <= t)].sum() / w[~arm].sum()) for t in range(12)]
    np.testing.assert_allclose(found.ks[0], max(gap), rtol=EXACT)


def test_constant_in_one_arm_falls_back_to_the_whole_sample():
    x = np.array([3.0, 3, 3, 1, 2, 4, 5])
    found = measured("treated", x=(x,))
    np.testing.assert_allclose(found.sd[0] ** 2, np.var(x, ddof=1), rtol=EXACT)


def test_constant_covariate_is_balanced():
    found = measured("pooled", x=(0.1 * ONE,))
    assert found.sd[0] == 0
    np.testing.assert_allclose(standardise(found), 0, atol=1e-15)
    assert found.ks[0] < 1e-15


def test_smd_does_not_depend_on_unit_or_size_of_weights():
    one = standardise(measured("weighted"))
    other = standardise(measured("weighted", weight=WEIGHT * 7, x=(1000 * AGE + 5, 2 * SEX + 1)))
    np.testing.assert_allclose(one, other, atol=1e-13)


def test_sampling_weights_count_before_weighting():
    found = measured("pooled", base=WEIGHT)
    np.testing.assert_allclose(found.difference_unadjusted, found.difference)
    np.testing.assert_allclose(found.sd[0] ** 2, (20.75 * 0.4 + 32 * 0.25) / 2, rtol=EXACT)


def test_effective_sample_size():
    assert effective_sample_size(np.ones(5)) == 5
    np.testing.assert_allclose(effective_sample_size(np.array([1.0, 3])), 16 / 10)
