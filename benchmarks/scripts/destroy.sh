#!/usr/bin/env bash
# The quickest way out that docker has: no grace, no logs kept.
# Usage: destroy.sh PROJECT NODES
set -euo pipefail

project=$1 nodes=$2

seq -f "$project-node-%.0f" 0 $((nodes - 1)) | xargs docker rm --force >/dev/null
docker network rm "$project-net" >/dev/null
