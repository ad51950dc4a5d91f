"""What a withdrawal writes down before it begins, so that the same command goes on where it broke off."""

from pathlib import Path

from pydantic import ValidationError

from operations.derived import TMP
from operations.withdrawal import Withdrawal
from stages.common.core.errors import PipelineError

JOURNAL = TMP / "withdraw.json"  # a withdrawal begun and not ended; Git ignores the folder


def later(patient: str, cohort: Path) -> Path:
    """Return where it is written what of a patient another cohort or ref keeps: that stops no other withdrawal."""
    return JOURNAL.with_name(f"withdrawn-{cohort.name}-{patient}.json")


def begun(patient: str, cohort: Path) -> Withdrawal | None:
    """Return the patient's withdrawal that was begun and not ended; None where there is none.

    Raises:
        PipelineError: another's was.
    """
    journal = JOURNAL if JOURNAL.is_file() else later(patient, cohort)
    if not journal.is_file():
        return None
    found = read_journal(journal, cohort)
    if (found.patient, found.cohort) != (patient, cohort):
        raise PipelineError(
            f"{JOURNAL}: expected no other withdrawal half done, got that of {found.patient} of {found.cohort}. First "
            f"`python -m operations.withdraw {found.patient} --do`, with `cohort: {found.cohort.name}` in params.yaml."
        )
    return found


def read_journal(journal: Path, cohort: Path) -> Withdrawal:
    """Return what a withdrawal wrote down.

    Raises:
        PipelineError: it is damaged.
    """
    try:
        return Withdrawal.model_validate_json(journal.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise PipelineError(
            f"{journal}: expected what a withdrawal that broke off wrote down, got: {first}. Delete it, bring the "
            f"cohort back (`git checkout {cohort}.dvc`, `dvc checkout {cohort}.dvc`; where "
            f"DVC no longer has it, the patient has left it: `dvc add {cohort}`), then the same command again."
        ) from error
