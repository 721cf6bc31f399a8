#!/usr/bin/env bash
# What one would write by hand: a network, and its containers eight at a time.
# Usage: create.sh PROJECT NODES IMAGE
#
# The flags are those that orchestrate gives its nodes; the benchmark inspects one
# container of each and refuses to compare them when they differ.
set -euo pipefail

project=$1 nodes=$2 image=$3

docker network create --driver bridge --internal \
    --label "bench.project=$project" "$project-net" >/dev/null

seq 0 $((nodes - 1)) | xargs -P 8 -I '{}' \
    docker run --detach --pull never \
    --name "$project-node-{}" \
    --hostname "$project-node-{}" \
    --network "$project-net" \
    --network-alias "$project-node-{}" \
    --init \
    --cap-drop ALL \
    --security-opt no-new-privileges \
    --pids-limit 64 \
    --shm-size 67108864 \
    --log-driver json-file \
    --label "bench.project=$project" \
    --label "bench.owner=$(id -u)" \
    --label "bench.node_rank={}" \
    --label "bench.num_ranks=1" \
    --label "bench.run_id=20260101T000000-00000000" \
    --label "bench.spec_hash=v1:sha2560123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
    --label "bench.playbook=$PWD/$project.yaml" \
    --label "bench.playbook_digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
    --label "bench.run_dir=$PWD/.orchestrate/runs/$project/20260101T000000-00000000" \
    --label "bench.restart_count=0" \
    --env LOCAL_RANK=0 \
    --env LOCAL_WORLD_SIZE=1 \
    --env "MASTER_ADDR=$project-node-0" \
    --env MASTER_PORT=29500 \
    --env "NODE_RANK={}" \
    --env NVIDIA_VISIBLE_DEVICES=void \
    --env ORCHESTRATE_BACKEND=gloo \
    --env "ORCHESTRATE_PROJECT=$project" \
    --env ORCHESTRATE_RENDEZVOUS_TIMEOUT_S=60 \
    --env ORCHESTRATE_RESTART_COUNT=0 \
    --env TORCHELASTIC_RESTART_COUNT=0 \
    --env ORCHESTRATE_RUN_ID=20260101T000000-00000000 \
    --env "RANK={}" \
    --env "WORLD_SIZE=$nodes" \
    "$image" sleep 600
