"""Every claim has a test, every mark has a claim; the claims are in requirements.toml."""

import pytest

from tests.support.requirements import find_proofs, load_requirements, proofs_in

REQUIREMENTS = load_requirements()
PROOFS = find_proofs()


def test_ids_are_unique_and_entries_are_complete() -> None:
    """A rule is stated once, with a role, a text, and a reason exactly where it waits."""
    assert len({rule.id for rule in REQUIREMENTS}) == len(REQUIREMENTS)
    for rule in REQUIREMENTS:
        assert rule.state in {"claimed", "later"}, rule.id
        assert set(rule.role.split(", ")) <= {"issuer", "api", "consumer", "all"}, rule.id
        assert bool(rule.reason) is not rule.claimed, rule.id


def test_every_claim_has_a_test() -> None:
    """What is claimed is proved by at least one test that carries its id."""
    proved = {proof.id for proof in PROOFS}
    assert [rule.id for rule in REQUIREMENTS if rule.claimed and rule.id not in proved] == []


def test_every_mark_names_a_known_rule_by_the_right_mark() -> None:
    """A mark with an id that is not in the list, or is of the other kind, is a slip of the pen."""
    marks = {rule.id: rule.mark for rule in REQUIREMENTS}
    assert [proof for proof in PROOFS if marks.get(proof.id) != proof.mark] == []


def test_nothing_that_waits_has_a_test() -> None:
    """A capability that has a test is built: its rule is to be claimed."""
    later = {rule.id for rule in REQUIREMENTS if not rule.claimed}
    assert [proof for proof in PROOFS if proof.id in later] == []


def test_marks_are_found_wherever_they_may_stand() -> None:
    """Decorators, classes, pytestmark and constants count; a constant no test uses does not."""
    source = """
pytestmark = pytest.mark.rfc("a-1")
CASES = [pytest.param(1, marks=pytest.mark.attack("V1")), *MORE]
MORE: list = [pytest.param(2, marks=[pytest.mark.attack("V2", "V3")])]
UNUSED = [pytest.param(3, marks=pytest.mark.attack("V4"))]

@pytest.mark.parametrize("case", CASES)
def test_one(case): ...

@pytest.mark.rfc("b-1")
class TestTwo:
    @mark.rfc("b-2")
    async def test_two(self): ...
"""
    assert set(proofs_in(source)) == {
        ("test_one", "rfc", "a-1"),
        ("test_one", "attack", "V1"),
        ("test_one", "attack", "V2"),
        ("test_one", "attack", "V3"),
        ("test_two", "rfc", "a-1"),
        ("test_two", "rfc", "b-1"),
        ("test_two", "rfc", "b-2"),
    }


def test_an_id_that_is_not_a_literal_is_refused() -> None:
    """An id that only running the tests would reveal cannot be listed."""
    with pytest.raises(ValueError, match="line 2: the id in a mark must be a literal string"):
        list(proofs_in("\n@pytest.mark.rfc(name)\ndef test_one(): ..."))
