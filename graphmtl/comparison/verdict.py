"""What a comparison says, in sentences that follow from its numbers by rule."""

from collections.abc import Iterator

from graphmtl.comparison.comparing import MAJORITY, Compared, Differences

__all__ = ["best_of", "sentence", "sentences"]


def sentence(compared: Compared, found: Differences) -> str:
    """One row against another, such as ``star is better than training alone for 5 of 10 tasks, worse for none, and
    within chance for 5``; tasks that are harmed are named."""
    better, worse, rest = (found.which(verdict) for verdict in ("better", "worse", "within chance"))
    tasks = len(found.tasks)
    ours, theirs = (compared.rows[name].in_a_sentence for name in (found.ours, found.theirs))
    if not tasks:
        return f"no task has a score of both {ours} and {theirs}"
    if not better and not worse:
        return f"{ours} is within chance of {theirs} for {f'all {tasks} tasks' if tasks != 1 else 'the one task'}"
    harmed = f"{len(worse)} ({', '.join(worse)})" if worse else "none"
    count = f"{tasks} task" + ("s" if tasks != 1 else "")
    return (
        f"{ours} is better than {theirs} for {len(better) or 'none'} of {count}, "
        f"worse for {harmed}, and within chance for {len(rest) or 'none'}"
    )


def best_of(compared: Compared, names: list[str]) -> str:
    """The row with the highest difference of the mean, or where there is none the one that is better for most tasks."""
    found = compared.to_reference

    def rank(name: str) -> tuple[float, float]:
        overall = found[name].overall
        return (float("-inf") if overall is None else overall.mean), len(found[name].which("better"))

    return max(names, key=rank)


def sentences(compared: Compared) -> Iterator[str]:
    """What is said above the tables: the row that is best against the reference, the other rows, then the best row
    against the best baseline."""
    names = compared.trained or compared.others
    if not names:
        yield f"{compared.rows[compared.against].in_a_sentence} alone was measured; there is nothing to compare it with"
        return
    best = best_of(compared, names)
    for name in [best, *(name for name in names if name != best)]:
        yield sentence(compared, compared.to_reference[name])
    baselines = [name for name in compared.others if compared.rows[name].is_baseline and name != MAJORITY]
    if compared.trained and baselines:
        strongest = best_of(compared, baselines)
        yield sentence(compared, compared.differences(best, strongest))
        if compared.against != best:
            yield sentence(compared, compared.differences(compared.against, strongest))
