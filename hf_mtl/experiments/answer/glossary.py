"""What the words of a report mean, for who has never met them."""

from hf_mtl.experiments.answer.answer import Answer
from hf_mtl.experiments.answer.tables import points, rows_shown


def glossary(found: Answer) -> dict[str, str]:
    """Explain the words that stand in the tables of an answer, one after the other.

    Args:
        found: The answer.
    """
    smallest, reference = points(found.question.smallest), found.question.reference
    shown = rows_shown(found)
    by_rows = {} if shown is None else {f"by rows, {shown}": "the difference of that seed alone, on other test rows."}
    return {
        "points": "100 times a score; a difference of 1 point is 0.81 instead of 0.80.",
        "95% interval": "differences that agree with what was seen, by this comparison alone; where 0 is in it, the "
        "sign is open.",
        "p": "how often chance alone would make a difference as large, were there none.",
        "Holm": "p, corrected for the number of comparisons, of which some look large by chance. Verdicts go by it.",
        "helps, harms": f"Holm's p is at most 0.05 and the difference at least {smallest}.",
        "equivalent": f"shown to differ by less than {smallest}.",
        "no evidence": "neither is shown: not that there is no effect.",
        "same runs": f"the arm trains this exactly as {reference} does; nothing is compared.",
        "delta-p": "mean change of the metrics in percent of their value, over tasks.",
        "g": "Hedges' g: the difference in standard deviations of the scores; beyond 0.8 it is large beside them.",
        "Cliff": "Cliff's delta: +1 where every run of the arm beats every run of the reference, -1 the reverse.",
        "w/t/l": f"wins, ties and losses of the runs; a tie is a difference below {smallest}.",
        **by_rows,
    }
