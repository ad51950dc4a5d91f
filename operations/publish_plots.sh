#!/usr/bin/env bash
# Put pictures on a branch of their own, without history and without the project's files, for a comment to link to.
#
#   operations/publish_plots.sh <folder> <branch>
set -euo pipefail
folder=$1 branch=$2
index=$(mktemp -d)/index
trap 'rm -rf "$(dirname "$index")"' EXIT
for file in "$folder"/*.png; do
  blob=$(git hash-object -w "$file")
  GIT_INDEX_FILE=$index git update-index --add --cacheinfo "100644,$blob,$(basename "$file")"
done
tree=$(GIT_INDEX_FILE=$index git write-tree)
commit=$(git -c user.name=plots -c user.email=plots@localhost commit-tree -m "Plots" "$tree")
git push -q -f origin "$commit:refs/heads/$branch"
