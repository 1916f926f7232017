"""Jobs of a sweep by what tells them apart."""

from collections.abc import Sequence

Words = Sequence[str]


def shared_words(jobs: Sequence[Words]) -> tuple[str, ...]:
    """Words of every job, in the order of the first; none where there is one job alone."""
    return tuple(word for word in jobs[0] if all(word in job for job in jobs)) if len(jobs) > 1 else ()


def own_words(job: Words, shared: Sequence[str]) -> str:
    """What a job has beside them."""
    return " ".join(word for word in job if word not in shared) or "(as it stands)"
