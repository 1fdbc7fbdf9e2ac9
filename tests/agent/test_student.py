"""Student's t against SciPy's, which is a dependency of the tests alone."""

import pytest

from traceml_agent.student import incomplete_beta, quantile, two_sided_p


@pytest.mark.parametrize("df", [1, 1.5, 2, 7, 14, 15, 16, 40, 1000])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_quantiles_and_probabilities_agree_with_scipy(df, confidence):
    t = pytest.importorskip("scipy.stats").t
    assert quantile(confidence, df) == pytest.approx(t.ppf(0.5 + confidence / 2, df), rel=1e-9)
    assert two_sided_p(2.1, df) == pytest.approx(2 * t.sf(2.1, df), rel=1e-9)


def test_the_beta_function_ends_at_zero_and_one():
    assert (incomplete_beta(2, 3, 0.0), incomplete_beta(2, 3, 1.0)) == (0.0, 1.0)
    assert incomplete_beta(2, 2, 0.5) == pytest.approx(0.5)
