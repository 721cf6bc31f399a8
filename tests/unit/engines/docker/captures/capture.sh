#!/bin/sh
# capture.sh [FOLDER]: makes captures from a running Docker engine with an image tiny:1 that holds
# a shell (busybox will do). Everything it creates is named utest-* and removed again.
#
# Those beside it are of Debian's Docker 20.10.24; of a folder named after another engine only
# those are kept that differ, besides a few of each kind: engine-26.1 is Debian's 26.1.5,
# engine-28.5 its 28.5.2, and engine-28.5-containerd the same with containerd's image store,
# which is the default from 29. tests/other_engine.py runs such an engine.
set -eu
cd "${1:-$(dirname "$0")}"

create() { # name, rank, command...
  name=$1 rank=$2; shift 2
  docker create --name "$name" --hostname "$name" --pull never --init \
    --network utest-net --network-alias "$name" --user "${user:-1000:1000}" --workdir /tmp \
    --cpus 0.5 --memory 16777216 --memory-swap 16777216 --shm-size 33554432 --pids-limit 64 \
    --cap-drop ALL --security-opt no-new-privileges --log-driver json-file \
    --env ORCHESTRATE_RUN_ID=run-1 --env B=x=y --env A=1 --env EMPTY= \
    --mount type=bind,source=/usr/share,target=/share,readonly \
    --mount type=bind,source=/tmp,target=/out \
    --label orchestrate.project=utest --label orchestrate.node_rank="$rank" \
    --label orchestrate.num_ranks=2 --label orchestrate.run_id=run-1 \
    --label orchestrate.spec_hash=v1:sha256feed --label orchestrate.run_dir=/runs/utest/run-1 \
    utest:1 "$@" >/dev/null
}

keep() { # kind, name, file; leaves out what only tells of the machine
  docker "$1" inspect "$2" | python3 -c '
import json, sys
found = json.load(sys.stdin)[0]
for name in ("GraphDriver", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"):
    found.pop(name, None)
json.dump(found, sys.stdout, indent=1, sort_keys=True)
print()' >"$3.json"
}

clean() {
  docker ps --all --quiet --filter name=utest- | xargs -r docker rm --force >/dev/null
  docker network rm utest-net utest-other >/dev/null 2>&1 || true
  docker image rm utest:1 >/dev/null 2>&1 || true
}
trap clean EXIT
clean

# An image with defaults of its own, which `docker inspect` reports as each container's.
docker create --name utest-blank tiny:1 true >/dev/null
docker commit --change 'ENV PATH=/bin LANG=C' --change 'USER 1000' --change 'WORKDIR /srv' \
  --change 'LABEL orchestrate.build_inputs=v1:sha256beef' utest-blank utest:1 >/dev/null
docker network create --internal --label orchestrate.project=utest utest-net >/dev/null
docker network create utest-other >/dev/null
keep image utest:1 image
keep image tiny:1 image-plain
keep network utest-net network
keep network utest-other network-plain

create utest-node-0 0 sleep 600
keep container utest-node-0 created
docker start utest-node-0 >/dev/null
keep container utest-node-0 running
docker pause utest-node-0 >/dev/null
keep container utest-node-0 paused
docker unpause utest-node-0 >/dev/null
docker network disconnect utest-net utest-node-0
keep container utest-node-0 disconnected
docker network connect utest-net utest-node-0
docker network connect utest-other utest-node-0
keep container utest-node-0 two-networks
docker kill utest-node-0 >/dev/null
docker wait utest-node-0 >/dev/null
keep container utest-node-0 killed

create utest-node-1 1 sh -c 'exit 3'
docker start utest-node-1 >/dev/null
docker wait utest-node-1 >/dev/null
keep container utest-node-1 exited

create utest-node-2 2 trian
docker start utest-node-2 >/dev/null
docker wait utest-node-2 >/dev/null
keep container utest-node-2 not-found

create utest-node-3 3 sh -c 'x=aaaaaaaa; while true; do x=$x$x; done'
docker start utest-node-3 >/dev/null
docker wait utest-node-3 >/dev/null
keep container utest-node-3 out-of-memory

user=nobody-here create utest-node-4 4 true
docker start utest-node-4 >/dev/null 2>&1 || true
keep container utest-node-4 not-started

docker create --name utest-plain tiny:1 true >/dev/null
keep container utest-plain plain
