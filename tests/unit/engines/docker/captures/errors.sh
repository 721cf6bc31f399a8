#!/bin/sh
# errors.sh [FOLDER]: makes FOLDER/errors/*.txt (see capture.sh): what docker prints when it
# refuses, from a running engine with an image tiny:1 that holds a shell. Everything it creates
# is named utest-* and removed again.
set -u
cd "${1:-$(dirname "$0")}/errors"

fails() { # file, command...: keeps what the command writes to standard error
  file=$1; shift
  "$@" >/dev/null 2>"$file.txt" && echo "$file: did not fail" >&2
  sed -i -E 's/(on|udp) [0-9.]+:53: /\1 192.0.2.53:53: /g; s|/root/|/home/me/|' "$file.txt"
}

made() { # arguments of docker create: a container utest-made, instead of the last one
  docker rm --force utest-made >/dev/null 2>&1
  docker create --name utest-made "$@" >/dev/null
}

clean() {
  docker ps --all --quiet --filter name=utest- | xargs -r docker rm --force >/dev/null
  docker network rm utest-net >/dev/null 2>&1
}
trap clean EXIT
clean
docker create --name utest-first -p 29999:1 tiny:1 sleep 600 >/dev/null
docker start utest-first >/dev/null
docker network create --subnet 10.249.0.0/24 utest-net >/dev/null

fails name-conflict docker create --name utest-first tiny:1 true
fails network-exists docker network create utest-net
fails no-image docker create --pull never nosuch-image:1 true
fails bad-reference docker create --pull never BAD:ref true
fails pull-refused docker pull 127.0.0.1:1/app:1
fails pull-no-host docker pull registry.invalid/app:1
fails no-container docker container inspect utest-nosuch
fails no-network docker network inspect utest-nosuch
fails pool-overlap docker network create --subnet 10.249.0.0/16 utest-net2
for i in $(seq 40); do docker network create "utest-pool-$i" >/dev/null 2>&1 || break; done
fails no-address docker network create utest-pool
docker network ls --quiet --filter name=utest-pool | xargs -r docker network rm >/dev/null
fails bad-mount docker create --mount type=bind,source=/nosuch,target=/x tiny:1 true
fails low-memory docker create --memory 1m tiny:1 true
fails many-cpus docker create --cpus 1000 tiny:1 true
fails bad-flag docker create --nosuch tiny:1
made tiny:1 trian
fails no-command docker start utest-made
made tiny:1 /nosuch/train
fails no-command-path docker start utest-made
made tiny:1 /etc
fails command-is-folder docker start utest-made
made --mount type=bind,source=/etc,target=/bin/busybox tiny:1 true
fails mount-on-file docker start utest-made
made --user nosuch tiny:1 true
fails no-user docker start utest-made
made -p 29999:1 tiny:1 true
fails port-taken docker start utest-made
made --gpus all tiny:1 true
fails no-gpu docker start utest-made
made --network utest-net tiny:1 sleep 600
docker start utest-made >/dev/null
fails network-in-use docker network rm utest-net
fails no-daemon env DOCKER_HOST=unix:///nonexistent docker ps
fails no-daemon-tcp env DOCKER_HOST=tcp://127.0.0.1:1 docker ps
fails no-daemon-name env DOCKER_HOST=tcp://engine.invalid:2375 docker container inspect x
fails no-permission setpriv --reuid 65534 --regid 65534 --clear-groups docker ps
