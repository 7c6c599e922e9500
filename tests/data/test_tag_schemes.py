import numpy as np
import pytest
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from hf_mtl.data.tag_schemes import Tags, all_tags, scheme_mistakes, scheme_of, types_in

IOB = Tags(("O", "B-X", "I-X", "B-Y", "I-Y"), "iob2")
LONG = Tags(tuple(all_tags(["X", "Y"], "bioes")), "bioes")


def ids(tags: Tags, *rows: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tags between blanks as ids and lengths; ? is a tag that is not known."""
    words = [row.split() for row in rows]
    table = np.full((len(words), max(map(len, words))), -100)
    for row, names in enumerate(words):
        table[row, : len(names)] = [-100 if name == "?" else tags.names.index(name) for name in names]
    return table, np.array([len(row) for row in words])


def names(tags: Tags, table: np.ndarray) -> list[str]:
    return [" ".join("?" if tag == -100 else tags.names[tag] for tag in row) for row in table]


def random_tags(tags: Tags, seed: int) -> np.ndarray:
    """Tags of 200 rows of 7 words, most of which break any scheme."""
    return np.random.default_rng(seed).integers(0, len(tags.names), (200, 7))


def entities(table: np.ndarray, tags: Tags) -> set[tuple[int, int, int, str]]:
    starts, ends = tags.entities(table)
    found = []
    for row, (begin, stop) in enumerate(zip(starts, ends, strict=True)):
        for first, last in zip(np.flatnonzero(begin), np.flatnonzero(stop), strict=True):
            found.append((row, int(first), int(last) + 1, tags.types[tags.type_ids[table[row, first]]]))
    return set(found)


def by_seqeval(table: np.ndarray, tags: Tags, scheme: type) -> set[tuple[int, int, int, str]]:
    found = Entities([[tags.names[tag] for tag in row] for row in table], scheme)
    return {(entity.sent_id, entity.start, entity.end, entity.tag) for row in found.entities for entity in row}


@pytest.mark.parametrize(
    ("given", "scheme", "types"),
    [
        (["O", "B-PER", "I-PER"], "iob2", ["PER"]),
        (["B-a-b", "S-c"], "bioes", ["a-b", "c"]),
        (["O", "U-X", "L-X"], "bilou", ["X"]),
        (["NOUN", "VERB", "X-RAY"], "plain", []),
    ],
)
def test_the_scheme_is_told_by_the_prefixes(given: list[str], scheme: str, types: list[str]) -> None:
    assert scheme_of(given) == scheme
    assert types_in(given) == types


@pytest.mark.parametrize(("tags", "scheme"), [(IOB, IOB2), (LONG, IOBES)])
def test_mended_tags_have_the_entities_that_seqeval_reads_strictly(tags: Tags, scheme: type) -> None:
    table = random_tags(tags, 0)
    table[:50] = tags.mended(table[:50])
    mended = tags.mended(table)
    assert entities(table, tags) == entities(mended, tags) == by_seqeval(mended, tags, scheme)
    lengths = np.full(200, 7)
    assert not tags.broken(mended, lengths).any()
    broken = tags.broken(table, lengths)
    # A row keeps its tags exactly where seqeval finds the same entities in them.
    same = [entities(table[[row]], tags) == by_seqeval(table[[row]], tags, scheme) for row in range(200)]
    assert 0 < broken.any(axis=1).sum() < 200
    assert (~broken.any(axis=1) <= np.array(same)).all()
    assert (mended[~broken.any(axis=1)] == table[~broken.any(axis=1)]).all()


def test_iob1_becomes_iob2_with_the_same_entities() -> None:
    given = Tags(IOB.names, "iob1")
    table, _ = ids(IOB, "I-X I-X B-X O", "I-X I-Y I-Y B-Y", "O I-Y O I-X")
    mended = given.mended(table)
    assert names(IOB, mended) == ["B-X I-X B-X O", "B-X B-Y I-Y B-Y", "O B-Y O B-X"]
    assert by_seqeval(table, IOB, IOB1) == by_seqeval(mended, IOB, IOB2)
    assert IOB.is_iob1(table)
    assert not IOB.is_iob1(ids(IOB, "B-X I-X", "I-Y O")[0])


def test_a_tag_beside_an_unknown_one_may_be_right() -> None:
    table, lengths = ids(IOB, "? I-X I-X", "O ? I-Y", "O I-Y ?", "O I-X")
    # The third is beside an unknown tag too, though no tag before O could make it right.
    assert np.argwhere(IOB.broken(table, lengths)).tolist() == [[3, 1]]
    assert names(IOB, IOB.mended(table))[3].startswith("O B-X")


def test_pieces_behind_the_first_go_on_inside() -> None:
    assert [IOB.names[tag] for tag in IOB.inside] == ["O", "I-X", "I-X", "I-Y", "I-Y"]
    assert [LONG.names[tag] for tag in LONG.inside[:5]] == ["O", "I-X", "I-X", "E-X", "S-X"]
    alone = Tags(("O", "B-X"), "iob2")
    assert alone.inside.tolist() == [0, 1]


def test_plain_tags_break_nothing() -> None:
    plain = Tags(("NOUN", "VERB", "B-X"), "plain")
    table = random_tags(plain, 1)
    assert (plain.mended(table) == table).all()
    assert not plain.broken(table, np.full(200, 7)).any()
    assert not plain.entities(table)[0].any()


@pytest.mark.parametrize(
    ("given", "scheme", "key", "said"),
    [
        (["O", "B-X", "NOUN"], None, "scheme", "found: NOUN"),
        (["O", "B-X", "S-X"], "iob2", "scheme", "found: S-X"),
        (["O", "U-X", "E-X"], None, "scheme", "those with B-, I-, L-, U-, found: E-X"),
        (["O", "I-X", "I-Y", "B-Y"], "iob1", "labels", "lack B-X"),
        (["NOUN", "VERB"], "bioes", "labels", "have prefixes, found: NOUN, VERB"),
    ],
)
def test_tags_of_no_scheme_are_mistakes(given: list[str], scheme: str | None, key: str, said: str) -> None:
    [mistake] = scheme_mistakes(given, scheme, "t")
    assert mistake.key == f"tasks.t.{key}"
    assert said in mistake.problem
    assert not list(scheme_mistakes(given, "plain", "t"))
