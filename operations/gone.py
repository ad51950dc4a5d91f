"""Which states of cohorts earlier withdrawals let go: branches and tags still name them, and nothing holds them.

Their MD5s alone are kept, in a file that Git ignores: a new clone does not have it.
"""

import json
import re

from operations.derived import GONE
from stages.common.core.errors import PipelineError, short
from stages.common.core.files import replacing

MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


def gone() -> set[str]:
    """Return the MD5s of the lists that withdrawals from this clone let go.

    Raises:
        PipelineError: what they wrote down is damaged.
    """
    if not GONE.is_file():
        return set()
    try:
        content = json.loads(GONE.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    if not isinstance(content, list) or not all(_is_md5(value) for value in content):
        raise _damaged(short(content))
    return set(content)


def _is_md5(value: object) -> bool:
    return isinstance(value, str) and MD5.fullmatch(value) is not None


def _damaged(got: str) -> PipelineError:
    return PipelineError(
        f"{GONE}: expected a JSON list of MD5s, as earlier withdrawals wrote it down, got {got}. Delete it, then the "
        "same command again. Nothing of a patient is lost with it: branches and tags from before those withdrawals are "
        "then asked about again, and --other-states or --absent-lists lets them go."
    )


def remember_gone(lists: set[str]) -> None:
    """Add the MD5s of lists that a withdrawal let go.

    Raises:
        PipelineError: what earlier ones wrote down is damaged.
    """
    known = sorted(gone() | {value for value in lists if _is_md5(value)})
    with replacing(GONE) as partial:
        partial.write_text(json.dumps(known), encoding="utf-8")
