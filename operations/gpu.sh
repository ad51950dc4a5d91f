#!/usr/bin/env bash
# From a bare machine with Python 3.11, Git and an NVIDIA GPU to the table, on a runner or a cloud VM:
#
#   operations/gpu.sh [profile] [override ...]      the profile `study` by default; overrides as `-S lr=0.003`
#
# Stopped or pre-empted, the same command goes on: finished stages are found in DVC's cache on the disk, or in the remote,
# which gets every result before the script ends. Inside a virtual environment it uses that one.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-study}
shift || true

if [ -z "${VIRTUAL_ENV:-}" ]; then
  [ -d .venv ] || python3.11 -m venv .venv
  . .venv/bin/activate
  python -m pip install -q -r requirements.txt
fi

[ -f "profiles/$profile.yaml" ] || { echo "error: profiles/$profile.yaml: no such profile" >&2; exit 1; }
if grep -q 'train.device: cuda' "profiles/$profile.yaml"; then
  python - <<'PYTHON'
import sys, torch
if not torch.cuda.is_available():
    sys.exit("error: the profile wants train.device: cuda, and PyTorch sees no GPU. `nvidia-smi` says whether there is a "
             "driver; `python -c 'import torch; print(torch.version.cuda)'` whether this PyTorch was built for one.")
print(torch.cuda.get_device_name())
PYTHON
fi

# what others, or this machine before it was stopped, have done already; a first run finds nothing, and goes on.
# A cohort's remote has its name, and `--run-cache` wants it said
cohort() { sed -n 's/^cohort: *\([^ #]*\).*/\1/p' params.yaml; }
dvc pull -r "$(cohort)" --run-cache --allow-missing ||
  echo "the remote has not everything: what is missing is made here" >&2
python -m experiments.profile "$profile" "$@"
remote=$(cohort) # a profile or an override may have named another
case $(dvc config "remote.$remote.url") in
  /proc/*) echo "push is off for cohort $remote: the results stay in this machine's cache (README, 'Share it')" >&2 ;;
  *)
    # The records of runs tell a new machine what is done, but all of them go: of other cohorts, too, were any run here.
    # They quote parameters, which may name clips
    runs=--run-cache
    others=$(grep -rhoEs 'data/cohorts/[^/[:space:]]+' "$(dvc cache dir)/runs" |
      grep -vxF -e data/cohorts/phantom -e "data/cohorts/$remote" || true)
    if [ -n "$others" ]; then
      runs=
      echo "another cohort ran here: what the stages made is pushed, the records of runs are not" >&2
    fi
    dvc push -r "$remote" $runs dvc.yaml # what the stages made; no cohort's clips
    ;;
esac
