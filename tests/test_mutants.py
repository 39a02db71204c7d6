"""Every fault of `make mutants` can be applied to the source, and its tests exist."""

from pathlib import Path

import pytest
from mutants.fault import AREAS, Fault
from mutants.faults import FAULTS

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "cameval"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_applied_and_its_tests_exist(fault: Fault) -> None:
    text = (SOURCE / fault.path).read_text(encoding="utf-8")
    assert text.count(fault.before) == 1
    compile(text.replace(fault.before, fault.after), fault.path, "exec")
    assert fault.tests
    for name in fault.tests:
        file, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}" in (TESTS / file).read_text(encoding="utf-8")


def test_faults_have_different_names_and_cover_every_area() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 150
    assert {fault.area for fault in FAULTS} == {*AREAS}
    for files in AREAS.values():
        assert all((TESTS / file).exists() for file in files)
