"""Which states of cohorts earlier withdrawals let go: branches and tags still name them, and nothing holds them.

Their MD5s alone are kept, in a file that Git ignores: a new clone does not have it.
"""

import json

from operations.derived import GONE
from stages.common.core.files import replacing


def gone() -> set[str]:
    """Return the MD5s of the lists that withdrawals from this clone let go."""
    return set(json.loads(GONE.read_text(encoding="utf-8"))) if GONE.is_file() else set()


def remember_gone(lists: set[str]) -> None:
    """Add the MD5s of lists that a withdrawal let go."""
    with replacing(GONE) as partial:
        partial.write_text(json.dumps(sorted(gone() | lists)), encoding="utf-8")
