#!/usr/bin/env bash
# Start two ranks and return once both have written that they joined the process group.
# Usage: join.sh PROJECT IMAGE
set -euo pipefail

project=$1 image=$2

docker network create --driver bridge --internal \
    --label "bench.project=$project" "$project-net" >/dev/null

seq 0 1 | xargs -P 8 -I '{}' \
    docker run --detach --pull never \
    --name "$project-node-{}" \
    --hostname "$project-node-{}" \
    --network "$project-net" \
    --network-alias "$project-node-{}" \
    --init \
    --cap-drop ALL \
    --security-opt no-new-privileges \
    --cpus 1 \
    --memory 2147483648 \
    --memory-swap 2147483648 \
    --pids-limit 512 \
    --shm-size 268435456 \
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
    --env OMP_NUM_THREADS=1 \
    --env ORCHESTRATE_BACKEND=gloo \
    --env "ORCHESTRATE_PROJECT=$project" \
    --env ORCHESTRATE_RENDEZVOUS_TIMEOUT_S=60 \
    --env ORCHESTRATE_RESTART_COUNT=0 \
    --env TORCHELASTIC_RESTART_COUNT=0 \
    --env ORCHESTRATE_RUN_ID=20260101T000000-00000000 \
    --env "RANK={}" \
    --env WORLD_SIZE=2 \
    "$image" python -m trainer --max-steps 1 --warmup-steps 0

# Process substitution, not a pipe: a pipe would also wait for `docker logs` to end.
exec 3< <(exec docker logs --follow "$project-node-0" 2>&1)
first=$!
exec 4< <(exec docker logs --follow "$project-node-1" 2>&1)
second=$!
grep --quiet --max-count=1 process_group_joined <&3
grep --quiet --max-count=1 process_group_joined <&4
kill "$first" "$second" 2>/dev/null || true
