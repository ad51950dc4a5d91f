#!/usr/bin/env bash
# Fail unless a commit lies on a branch of this repository. GitHub serves a fork's commits under the same address, so that
# a hash alone says nothing about whose it is.
#
#   operations/own_commit.sh <40 digits>      in a clone that fetched every branch
set -euo pipefail
commit=$1
[[ $commit =~ ^[0-9a-f]{40}$ ]] || { echo "error: expected all 40 digits of a commit, got '$commit'" >&2; exit 1; }
branches=$(git branch -r --contains "$commit" 2>/dev/null || true)
[ -n "$branches" ] || {
  echo "error: $commit: on no branch of this repository. A fork's commit is first read, then pushed to a branch here." >&2
  exit 1
}
echo "$commit is on:
$branches"
