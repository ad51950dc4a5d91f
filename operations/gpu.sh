#!/usr/bin/env bash
# From a bare machine with Python 3.11, Git and an NVIDIA GPU to the table, on a runner or a cloud VM:
#
#   operations/gpu.sh [profile] [override ...]      the profile `study` by default; overrides as `-S lr=0.003`
#
# Stopped or pre-empted, the same command on the same commit goes on: finished stages are found in DVC's cache on the disk, or
# in the remote, which gets them every quarter of an hour (PUSH_EVERY_S) and at the end. Without the disk, stages whose tables
# are Git's (`cache: false`; no training) run again. Inside a virtual environment it uses that one.
# A stage that stops names clips and sheets: what this prints is for nobody else's eyes (the workflow keeps it in a file).
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-study}
shift || true

[ -f "profiles/$profile.yaml" ] || { echo "error: profiles/$profile.yaml: no such profile" >&2; exit 1; }
if [ -z "${VIRTUAL_ENV:-}" ]; then
  [ -f .venv/bin/activate ] || python3.11 -m venv --clear .venv # `activate` is what venv writes last
  . .venv/bin/activate
  python -m pip install -q --require-hashes -r requirements.lock
fi

if grep -q 'train.device: cuda' "profiles/$profile.yaml"; then
  python - <<'PYTHON'
import sys, torch
if not torch.cuda.is_available():
    sys.exit("error: the profile wants train.device: cuda, and PyTorch sees no GPU. `nvidia-smi` says whether there is a "
             "driver; `python -c 'import torch; print(torch.version.cuda)'` whether this PyTorch was built for one.")
print(torch.cuda.get_device_name())
PYTHON
fi

# Nothing runs on half a dvc.lock, as a stop may leave it; and DVC would build on damaged bytes of its cache, and push them
python -m operations.torn
python -m operations.cache

# The cohort whose remote gets the results: params.yaml's, unless the profile or an override names another
planned=$(python -m experiments.profile "$profile" --dry "$@") || { echo "$planned"; exit 1; }
remote=$(sed -n 's/^dvc .* -S cohort=\([^ ]*\).*/\1/p' <<<"$planned")
remote=${remote:-$(sed -n 's/^cohort: *\([^ #]*\).*/\1/p' params.yaml)}
url=$(dvc config "remote.$remote.url" || true) # DVC says by itself why it has none
[ -n "$url" ] || {
  echo "error: cohort $remote: .dvc/config has no remote of that name with a url: \`dvc remote add $remote <url>\`," \
    "\`dvc remote modify $remote verify true\`; the url /proc/push-is-off keeps the results here" >&2
  exit 1
}
case $url in
  /proc/*)
    pushed=
    echo "push is off for cohort $remote: the results stay in this machine's cache (README, 'Share it')" >&2 ;;
  *)
    pushed=yes
    [[ $url == *://* && $url != file://* ]] ||
      echo "remote $remote is a folder of this machine, $url, and goes with its disk (docs/gpu_runner.md, 'A cloud VM')" >&2
    python -m operations.remote probe "$remote" ;; # a wrong key shows now, not after the GPU's hours
esac

# What others, or this machine before it was stopped, have done already; a first run finds nothing, and goes on.
# A cohort's remote has its name, and `--run-cache` wants it said
if [ -n "$pushed" ]; then
  dvc pull -r "$remote" --run-cache --allow-missing ||
    echo "not all of it could be fetched (DVC says why): what is missing is made here" >&2
  set -m # a process group of its own, so that its `sleep` ends with it
  # the whole cache is looked through above and before the last push, not beside the training every time
  while sleep "${PUSH_EVERY_S:-900}"; do python -m operations.remote push --unchecked "$remote" || true; done &
  set +m
  pusher=$!
  trap 'kill -- -$pusher 2>/dev/null || true' EXIT
  # `--pull` looks for what the run cache names in a default remote. There is none on purpose: this process alone gets one
  mkdir -p .dvc/tmp/gpu
  printf '[core]\n    remote = %s\n' "$remote" >.dvc/tmp/gpu/config
  DVC_SYSTEM_CONFIG_DIR=$PWD/.dvc/tmp/gpu python -m experiments.profile "$profile" --pull "$@"
else
  python -m experiments.profile "$profile" "$@"
fi

# What names the results, for whoever has this commit
mkdir -p .dvc/tmp
git diff HEAD -- dvc.lock params.yaml >.dvc/tmp/results.patch
echo "elsewhere, on $(git rev-parse HEAD): git apply results.patch (from .dvc/tmp/), dvc pull -r $remote --run-cache, dvc repro"
[ -z "$pushed" ] || python -m operations.remote push "$remote" # what the stages made; no cohort's clips
