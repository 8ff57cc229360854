"""Computes statistics with SciPy and statsmodels; the tests compare ours with the stored results.

Run again only when a statistic is added:
    python3 -m pip install scipy statsmodels
    python3 analysis/tests/reference/scipy_results.py > analysis/tests/reference/scipy_results.json
"""

import json
import sys

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

RANDOM = np.random.default_rng(20260101)


def rounded(values):
    """Plain floats, so that the file is the same wherever it is made."""
    return [float(f"{value:.12g}") for value in np.atleast_1d(values)]


def lines():
    """Straight lines through noisy points, one of them far off."""
    cases = []
    for count in (4, 9, 30):
        x = np.sort(RANDOM.integers(1, 400, count).astype(float))
        y = 6.2 * x + 40 + RANDOM.normal(0, 20, count)
        y[count // 2] += 900
        x, y = np.array(rounded(x)), np.array(rounded(y))
        robust = stats.theilslopes(y, x, method="joint")
        squares = stats.linregress(x, y)
        cases.append({
            "x": rounded(x),
            "y": rounded(y),
            "theil_sen": rounded([robust.slope, robust.intercept]),
            "least_squares": rounded([squares.slope, squares.intercept]),
        })
    return cases


def quantiles():
    """numpy's default is definition 7 of Hyndman and Fan."""
    values = np.array(rounded(RANDOM.lognormal(0, 1, 17)))
    shares = [0.0, 0.025, 0.1, 0.5, 0.9, 0.975, 1.0]
    return {
        "values": rounded(values),
        "shares": shares,
        "quantiles": rounded(np.quantile(values, shares)),
    }


def bootstraps():
    """Percentile intervals of the median and of the mean; theirs and ours draw differently."""
    cases = []
    for count in (5, 9, 25):
        values = np.array(rounded(RANDOM.normal(100, 10, count)))
        case = {"values": rounded(values)}
        for name, statistic in (("median", np.median), ("mean", np.mean)):
            found = stats.bootstrap((values,), statistic, n_resamples=200_000, batch=10_000,
                                    method="percentile", random_state=np.random.default_rng(1))
            case[name] = rounded([found.confidence_interval.low, found.confidence_interval.high])
        cases.append(case)
    return cases


def equivalences():
    """Two one-sided paired tests."""
    cases = []
    for count, mean, margin in ((5, 0.01, 0.1), (5, 0.09, 0.1), (12, -0.2, 0.1), (3, 0.0, 0.05)):
        values = np.array(rounded(RANDOM.normal(mean, 0.04, count)))
        p_value, low, high = DescrStatsW(values).ttost_mean(-margin, margin)
        cases.append({
            "differences": rounded(values),
            "margin": margin,
            "p_value": rounded(p_value)[0],
            "p_above_low": rounded(low[1])[0],
            "p_below_high": rounded(high[1])[0],
        })
    return cases


def corrections():
    """Holm's correction, with ties."""
    cases = []
    many = list(RANDOM.uniform(0, 0.1, 12))
    for p_values in ([0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.001], many):
        p_values = rounded(p_values)
        corrected = multipletests(p_values, method="holm")[1]
        cases.append({"p_values": p_values, "holm": rounded(corrected)})
    return cases


def tails():
    """Student's t, upper tail."""
    quantities = (-6.0, -1.3, 0.0, 0.4, 2.1, 9.0, 40.0)
    points = [(t, freedom) for t in quantities for freedom in (1, 4, 29)]
    return [[t, freedom, rounded(stats.t.sf(t, freedom))[0]] for t, freedom in points]


def main():
    """Prints everything as one JSON value."""
    json.dump({
        "made_with": {
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__,
        },
        "lines": lines(),
        "quantiles": quantiles(),
        "bootstraps": bootstraps(),
        "equivalences": equivalences(),
        "corrections": corrections(),
        "tails": tails(),
    }, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
