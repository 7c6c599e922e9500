"""The answer in a sentence or two."""

import math
from collections.abc import Sequence

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.costs import budget_missed
from hf_mtl.experiments.answer.trials import is_merged, is_single
from hf_mtl.experiments.evidence import Evidence

UNKNOWN = "-"
NEAR_0 = 0.05
"""A metric of the reference that is closer to 0 says nothing by its relative change."""
WIDEST = 100.0
"""A wider interval of delta-p, in percent, says nothing either."""

_UNJUDGED = "not judged"


def headline(found: Answer) -> str:
    """Say in a sentence or two what training together did, by the best arm on validation, or else by the first.

    Args:
        found: The answer.
    """
    # Before all else: a reader who stops here has read it.
    return " ".join(filter(None, (found.unfinished.sentence(), _said_of_arm(found))))


def _said_of_arm(found: Answer) -> str:
    arm = found.shown
    if arm is None:
        return _alone(found) if found.is_alone else "Nothing can be said yet: there are no finished runs to compare."
    if found.verdicts[arm, None].word == "same runs":
        return f"Nothing can be said of {arm}: its runs are the very same as those of {found.question.reference}."
    same = [task for task in found.tasks if found.comparisons[arm, task].same]
    compared = [task for task in found.tasks if found.comparisons[arm, task].differences and task not in same]
    if not compared:
        reference = found.question.reference
        return f"Nothing can be said yet of {arm}: no run of it has a task and a seed in common with {reference}."
    words = [_word(found, arm, task) for task in compared]
    by_rows = found.comparisons[arm, None].evidence.by == "rows" or any(
        found.comparisons[arm, task].evidence.by == "rows" for task in found.tasks
    )
    which = _which(compared, found)
    undecided = set(words) == {"no evidence"}
    counted = _undecided(found, arm, compared, which) if undecided else _counted(words, which, by_rows)
    left = [task for task in found.tasks if task not in [*compared, *same]]
    more = f" {', '.join(left)}: not compared." if left else ""
    more += f" {', '.join(same)}: the very same runs." if same else ""
    more += f" {', '.join(found.untested)}: left out, without test rows." if found.untested else ""
    missed = budget_missed(found.costs, found.question, arm)
    said = (missed, f"{subject(found, arm)} {counted}.{more}", _overall(found, arm), _weak(found), _first(found))
    return " ".join(filter(None, said))


def _alone(found: Answer) -> str:
    """Say of the one arm of a study what it scores."""
    arm, mean = found.question.reference, found.average(found.question.reference)
    said = f"{arm} is the only arm of the study, so that it is compared with nothing."
    if found.untested:
        said += f" {', '.join(found.untested)}: left out, without test rows."
    if mean is not None and not math.isnan(mean.mean):
        over = "" if len(found.tasks) == 1 else f" over {len(found.tasks)} tasks"
        said += f" Its mean test score{over} is {mean.mean:.1f} points."
    return " ".join(filter(None, (said, _weak(found))))


def _first(found: Answer) -> str:
    """Say that an arm is one of many, and not the best of them."""
    if found.best is not None or len(found.arms) == 1:
        return ""
    none = "neither" if len(found.arms) == 2 else "none"
    return f"It is the first of {len(found.arms)} arms, as {none} has validation scores of all tasks."


def _weak(found: Answer) -> str:
    """Say where little was learned that could be shared."""
    if not found.weak:
        return ""
    on, reference = _part(len(found.weak), len(found.tasks), _which(found.tasks, found)), found.question.reference
    return f"On {on} {reference} does not beat a simple baseline: at a larger budget the answer may be another."


def subject(found: Answer, arm: str) -> str:
    """Name an arm as the subject of a sentence.

    Args:
        found: The answer.
        arm: The arm.
    """
    if is_merged(found.trials[arm]):
        return f"Merging the single-task models ({arm})"
    if found.against_single and not is_single(found.trials[arm]):
        return f"Training together ({arm})"
    return f"{arm}, against {found.question.reference},"


def _word(found: Answer, arm: str, task: str) -> str:
    """Return what is said of a task; of one without scores, as where every run has diverged, that nothing can be."""
    unscored = math.isnan(found.comparisons[arm, task].evidence.difference)
    return _UNJUDGED if unscored else found.verdicts[arm, task].word


def _undecided(found: Answer, arm: str, tasks: Sequence[str], left: str) -> str:
    """Say that nothing is decided of any task, and what differences are possible: not that there are none."""
    items = [found.comparisons[arm, task].evidence for task in tasks]
    ends = [end for item in items for end in (item.low, item.high) if not math.isnan(end)]
    if not ends:
        return f"left {left} undecided at this budget, which is not to say that nothing changed"
    reach = f"anything from {min(ends):+.1f} to {max(ends):+.1f} points fits the 95% intervals"
    return f"left {left} undecided at this budget: {reach}"


def _which(compared: Sequence[str], found: Answer) -> str:
    """Name the tasks that are compared, all of them: one by its name, as there may be others."""
    if len(compared) == 1:
        return compared[0]
    tasks = "both tasks" if len(compared) == 2 else f"all {len(compared)} tasks"
    return tasks if len(compared) == len(found.tasks) else f"{tasks} that can be compared"


def _part(count: int, total: int, which: str) -> str:
    """Say how many of some tasks: of one or two, the only one or both."""
    return which if count == total < 3 else f"{count} of {total} tasks"


def _counted(words: Sequence[str], which: str, by_rows: bool) -> str:
    """Say how many tasks each word is said of."""
    total = len(words)
    helped, harmed, same, unsure = (words.count(word) for word in ("helps", "harms", "equivalent", "no evidence"))
    if (unjudged := words.count(_UNJUDGED)) == total:
        tasks = {1: which, 2: "either task"}.get(total, f"any of the {total} tasks")
        return f"could not be judged on {tasks}, as scores are missing"
    better, worse = ("scored better on", "scored worse on") if by_rows else ("helped", "harmed")
    counts = {better: helped, worse: harmed, "made no difference that matters on": same}
    counts |= {"left": unsure, "could not be judged on": unjudged}
    verbs = [verb for verb, count in counts.items() if count]
    parts = [f"{verb} {counts[verb] if verb != verbs[0] else _part(counts[verb], total, which)}" for verb in verbs]
    parts = [f"{part} undecided at this budget" if part.startswith("left") else part for part in parts]
    text = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{text}, by the rows of the one seed that was run" if by_rows else text


def _overall(found: Answer, arm: str) -> str:
    item, verdict = found.comparisons[arm, None], found.verdicts[arm, None]
    over = {1: "The difference is", 2: "Over both tasks it is"}.get(len(found.tasks), "Over all tasks it is")
    if math.isnan(item.evidence.difference):
        whole = len(found.tasks) == 1  # of the one task it has been said
        return "" if whole else "Over all tasks nothing can be said, as not every task could be compared."
    more = f"; delta-p {item.delta_p.difference:+.1f}%" if _is_telling(found, item.delta_p) else ""
    text = f"{over} {difference_of(item.evidence)}{more}: {said(verdict.word)}"
    if item.evidence.by == "rows":
        return f"{text}, for these trained models alone; what another seed would give is not known."
    if math.isnan(item.evidence.low):
        why = "of one run" if item.evidence.n < 2 else "of differences that are all the same"
        return f"{text}: {why} nobody can tell how sure that is."
    return f"{text}."


def _is_telling(found: Answer, relative: Evidence) -> bool:
    """Tell whether delta-p says something: of a metric near 0 any change is a large one, in percent."""
    if math.isnan(relative.difference) or relative.high - relative.low > WIDEST:
        return False
    reference = found.trials[found.question.reference].values()
    pairs = [(trial, task) for trial in reference for task in found.tasks]
    used = [(trial.metrics(task), trial.value("lower_is_better", task) or {}) for trial, task in pairs]
    return all(abs(values[key]) >= NEAR_0 for values, keys in used for key in keys if key in values)


def said(word: str) -> str:
    """Return a verdict as the end of a sentence.

    Args:
        word: The verdict's.
    """
    return {
        "helps": "it helps",
        "harms": "it harms",
        "equivalent": "no difference that matters",
        "no evidence": "no evidence either way at this budget",
    }[word]


def difference_of(item: Evidence) -> str:
    """Show a difference with its plain 95% interval.

    Args:
        item: The evidence.
    """
    if math.isnan(item.difference):
        return UNKNOWN
    return f"{item.difference:+.2f} points{interval(item)}"


def interval(item: Evidence) -> str:
    """Show a plain 95% interval behind a number; nothing where it is not known.

    Args:
        item: The evidence.
    """
    return "" if math.isnan(item.low) else f" [{item.low:+.2f}, {item.high:+.2f}]"
