"""What no withdrawal reaches, and a person must see to: said in the end."""

import os
from pathlib import Path

WEIGHTS = Path("weights")  # Git ignores it: networks that a person pretrained or copied there, for `train.weights`
BEYOND = """What no command here can reach, and a person must see to:
  - other clones: `git pull`, `dvc pull`, then `dvc gc --workspace --force` in each, and remove their .dvc/cache/runs,
    what is left below data/ and metrics/, and what DVC keeps of them elsewhere (`dvc doctor`: Repo.site_cache_dir)
  - remotes of other names, should the cohort have been pushed there (`dvc push -r`, `--run-cache`)
  - what .github/workflows/gpu.yml made: branches plots-*, comments on pull requests, summaries of runs, their artifact
    `comment` (plots and results.patch); on that runner the clone, and ~/gpu-logs, which name clips and sheets
  - reports, bundles and tables that were handed on, models that `operations.approved get` wrote, and backups
  - params.yaml and its history, should `label_merge` or `label_review` name what is the patient's
  - the pseudonym and its results in Git's history: metrics/*.json of earlier commits
  - later clips have new numbers (C004 becomes C003): look through leakage.known_pairs and label_review.answers"""
THEN = "Then `dvc repro`, and commit."


def beyond() -> str:
    """Return what a person must see to, the files of weights/ by name."""
    files = [f"    {path}" for path in own_weights()]
    head = f"  - {WEIGHTS}/, which stays: remove each of these that may have learnt from the patient"
    return "\n".join([BEYOND, *([head, *files] if files else []), THEN])


def own_weights() -> list[Path]:
    """Return what lies below weights/, sorted; behind a link to a folder, too."""
    seen, files = set(), []
    for folder, inner, names in os.walk(WEIGHTS, followlinks=True):
        if (place := Path(folder).resolve()) in seen:  # a link that leads back
            inner.clear()
            continue
        seen.add(place)
        files += [Path(folder, name) for name in names]
    return sorted(files)
