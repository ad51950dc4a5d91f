"""Confidence intervals of proportions whose cases are frames, and whose independent witnesses are patients.

Frames of one infant are no independent cases. Korn and Graubard (1998) count them as fewer: Clopper and Pearson's
exact interval at the *effective* number of cases, which is the proportion's binomial variance over the variance
between patients, times a correction for how few patients that variance comes from, and never more than the cases.

As published it does not hold at eight patients: where one infant in ten carries most of the errors, a sample often
holds none of these infants, looks far better than the truth, and shows no spread. In simulations with beta-binomial
patients and true proportions of .80 to .98, coverage falls to 75 % where 95 % are promised; a percentile bootstrap
over patients falls to 51 % at an intra-cluster correlation of .3, and to 37 % at .5. Three changes mend that. All were
chosen by simulation, and none moves the proportion itself; so `method` says "mended":

- The variance is taken with **half a patient more**, half of whose cases are hits: half an observation, as in
  Jeffreys' prior, but of the unit that counts.
- The degrees of freedom are those of the **effective number of patients** (Kish 1965: the square of the sum of cases
  over the sum of their squares) minus one: eight patients of whom one brings most frames are no eight witnesses.
- A patient is **worth two cases at most**: the effective number of cases is no more than twice that number of
  patients. Patients who look alike are no proof that the next one will. Without this, coverage was 47 % at worst
  where patients are of two kinds (196 mixtures: true proportions of .60 to .95, 3 to 30 % of the patients failing,
  with rates of 0 to .5) and below 90 % in 57 to 75 of the 196 at 8 patients with even cases or the study's.

With these, coverage was at least 91 % in all of these mixtures at 3, 5, 8, 12, 20 and 40 patients with equal cases,
98 % where one patient had half of the cases or the cases were the study's (1000 samples each), and 96 % with
beta-binomial patients of correlations of .02 to .5. tests/test_intervals.py repeats the worst at 8 patients. It is no
theorem. The price is width, and coverage that mostly exceeds 95 %: a proportion of .80 of eight patients has a mean
width of .43 at a correlation of .3, where it had .36 without the third change, and .42 instead of .23 at .1.

All this supposes that how many cases a patient has says nothing of how well the patient does. Where patients who fail
altogether have twice the cases of the others, coverage was 73 % at worst at 8 patients, with five times 58 %, and 63 %
at 20 (60 cases in the others, who do well at .985; a grid of up to 30 mixtures, its worst with 1000 samples).

Where nothing is wrong (or nothing right) there is no spread to learn from. Then a patient counts as one case, the worst
there can be, and the bound is exact: no error in 8 infants allows up to 1 - .025^(1/8) = 37 %. So a proportion with a
single error can have a narrower interval than one with none.

One patient with both hits and others shows nothing of how patients differ. The formula above grants it two cases at
most, which is nearly all of (0, 1); we take the whole of it. A missing interval would look as if there were no doubt.

Korn EL, Graubard BI. Confidence intervals for proportions with small expected number of positive counts estimated
from survey data. Survey Methodology 1998;24:193-201. Parker JD et al., NCHS Vital Health Stat 2(175), 2017.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95  # of every interval of this project, two-sided
KORN_GRAUBARD = "Korn-Graubard over patients, mended"  # not the published one: see above
EXACT = "exact over patients"  # Clopper and Pearson, a patient being one case
ONE_PATIENT = "none from one patient"  # (0, 1): true whatever the proportion
EXTRA = 0.5  # of an average patient: what the variance is taken with in addition
EXTRA_RATE = 0.5  # share of the extra patient's cases that are hits
WORTH = 2.0  # cases that a patient is worth at most; 2.5 covers 86 % at 40 patients of two kinds, 3 covers 83 % at 8


@dataclass(frozen=True)
class Interval:
    """A two-sided interval.

    Attributes:
        low: the lower bound, None where not estimable.
        high: the upper bound, None where not estimable.
        method: how it was found; empty where not estimable.
        effective: how many independent cases the cases are worth; None where not estimable.
        why: what is missing where it is not estimable, or says nothing; else empty.
    """

    low: float | None
    high: float | None
    method: str
    effective: float | None
    why: str = ""


def clopper_pearson(hits: float, cases: float, confidence: float) -> tuple[float, float]:
    """Return Clopper and Pearson's bounds; hits and cases need not be whole."""
    low, high = proportion_confint(hits, cases, alpha=1 - confidence, method="beta")
    return float(low), float(high)


def effective_cases(hits: NDArray[np.float64], cases: NDArray[np.float64]) -> float:
    """Return Korn and Graubard's effective number of cases before its correction for few patients, eq. (1).

    Args:
        hits: (patients,) at least two.
        cases: (patients,) all positive.

    Returns:
        p (1 - p) over the variance of p as a ratio of sums over patients; infinite where all patients agree.
    """
    patients, total = len(cases), cases.sum()
    share = hits.sum() / total
    variance = patients / (patients - 1) * ((hits - share * cases) ** 2).sum() / total**2
    return float(share * (1 - share) / variance) if variance > 0 else float("inf")


def corrected(effective: float, cases: float, witnesses: float, confidence: float) -> float:
    """Return the effective number of cases, fewer where its variance comes from few witnesses, and at most `cases`.

    Args:
        effective: what `effective_cases` returned.
        cases: the real number of cases.
        witnesses: patients, or their effective number; fewer than two count as two.
        confidence: of the interval.
    """
    upper = (1 + confidence) / 2
    freedom = max(witnesses - 1, 1.0)
    ratio = stats.t.ppf(upper, max(cases - 1, freedom)) / stats.t.ppf(upper, freedom)
    return float(min(effective * ratio**2, cases))


def korn_graubard(
    hits: NDArray[np.float64], cases: NDArray[np.float64], confidence: float, extra: float = EXTRA, worth: float = WORTH
) -> tuple[float, float, float]:
    """Return low, high and the effective number of cases of a proportion over patients.

    Args:
        hits: (patients,) cases that are so; neither none nor all of them over all patients.
        cases: (patients,) all positive; at least two patients.
        confidence: e.g. 0.95.
        extra: of an average patient, added for the variance.
        worth: cases that a patient is worth at most. Infinity, with no `extra`, gives the published interval, which
            does not hold.
    """
    total, patients = cases.sum(), len(cases)
    if extra:
        more = extra * total / patients
        effective = effective_cases(np.append(hits, EXTRA_RATE * more), np.append(cases, more))
        witnesses = total**2 / (cases**2).sum()
    else:
        effective, witnesses = effective_cases(hits, cases), patients
    effective = min(corrected(effective, total, witnesses, confidence), worth * witnesses)
    low, high = clopper_pearson(hits.sum() / total * effective, effective, confidence)
    return low, high, effective


def proportion_interval(hits: NDArray[np.int64], cases: NDArray[np.int64], confidence: float) -> Interval:
    """Return the interval of sum(hits) / sum(cases); patients without a case say nothing and are left out.

    Args:
        hits: (patients,) cases of each patient that are so.
        cases: (patients,) cases of each patient.
        confidence: e.g. 0.95, two-sided.
    """
    mine = cases > 0
    patients, total = int(mine.sum()), int(cases.sum())
    if not patients:
        return Interval(None, None, "", None, "no case among the test frames")
    if hits.sum() in (0, total):
        low, high = clopper_pearson(patients if hits.sum() else 0, patients, confidence)
        return Interval(low, high, EXACT, float(patients))
    if patients == 1:
        return Interval(0.0, 1.0, ONE_PATIENT, 0.0, "one patient has the case: how patients differ is unknown")
    low, high, effective = korn_graubard(hits[mine].astype(float), cases[mine].astype(float), confidence)
    return Interval(low, high, KORN_GRAUBARD, effective)
