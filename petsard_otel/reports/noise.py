"""How far two durations of the same work differ by chance, learnt from earlier ones. Pure."""

from __future__ import annotations

from bisect import insort
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Key = TypeVar("Key")

MIN_DURATIONS = 3
"""Of fewer durations no spread can be told."""

MAD_TO_SIGMA = 1.4826
"""1 / the third quartile of the standard normal: makes the MAD of normal values their sigma."""

DIFFERENCE = 2**0.5
"""Two durations that each vary by sigma differ from one another by this many sigma."""

CERTAINTY = 3.0
"""How many sigma a difference has to be.

Chance alone would go further in 1 of 370 comparisons, were sigma known. It is estimated, and the
fewer durations it is estimated from, the more often it is too small. Of equal normal durations in
a pipeline of 25, 4 % differ by more than the band that three earlier runs make, 2 % with five and
1 % with ten; of one without others to learn from, such as the whole run, 18 %, 9 % and 3.5 %. A
test holds these figures.
"""

OTHERS_WEIGHT = 5
"""As many durations of its own say as much of an execution's noise as the others' noise does."""

OTHERS_RATIO = 10.0
"""What takes less than one part in so many tells nothing of an execution: short work is noisier."""

FLOOR_SECONDS = 0.001
"""No band is narrower: a scheduler's time slice moves any duration by that much."""

_SMALL_SAMPLES = {3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}


def noise_bands(durations: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """Return by how many seconds two durations may differ and still be taken for equal.

    `3 * sqrt(2) * sigma`. Of an execution's own durations, `sigma = 1.4826 * c(n) * MAD` and
    `MAD = median(|x - median(x)|)`. The MAD, and not the standard deviation, since one run beside a
    virus scanner must not hide every slow-down after it: up to half of the durations may be
    anything. `c(n)` makes up for the MAD being too small in small samples (Croux and Rousseeuw
    1992, "Time-efficient algorithms for two highly robust estimators of scale"): from 1.495 for
    three durations, and `n / (n - 0.8)` from ten on.

    Since a few durations may be alike by chance, their sigma is moved towards what is usual in the
    pipeline (as by Smyth 2004, "Linear models and empirical Bayes methods"):
    `sqrt((n * sigma**2 + 5 * usual**2) / (n + 5))`, where `usual` is the median of `sigma /
    duration` over all executions that take at least a tenth as long, times this one's duration.

    The band lies around the difference to the run that is compared with, not around the median of
    the earlier ones: a pipeline that was made faster and then slow again has become slower.

    Args:
        durations: What each execution took in earlier runs, in seconds.

    Returns:
        The band of each execution, but for those with fewer than MIN_DURATIONS.
    """
    known = [
        (median(seconds), _sigma(seconds), key)
        for key, seconds in durations.items()
        if len(seconds) >= MIN_DURATIONS
    ]
    known.sort(key=lambda entry: entry[0], reverse=True)
    bands: dict[Key, float] = {}
    relative: list[float] = []
    joining = iter(known)
    joined = next(joining, None)
    for seconds, own, key in known:
        while joined is not None and joined[0] * OTHERS_RATIO >= seconds:
            insort(relative, joined[1] / joined[0] if joined[0] else 0.0)
            joined = next(joining, None)
        usual = seconds * median(relative)
        count = len(durations[key])
        variance = (count * own**2 + OTHERS_WEIGHT * usual**2) / (count + OTHERS_WEIGHT)
        bands[key] = max(CERTAINTY * DIFFERENCE * sqrt(variance), FLOOR_SECONDS)
    return bands


def _sigma(seconds: Sequence[float]) -> float:
    count, middle = len(seconds), median(seconds)
    correction = _SMALL_SAMPLES.get(count, count / (count - 0.8))
    return MAD_TO_SIGMA * correction * median(abs(duration - middle) for duration in seconds)
