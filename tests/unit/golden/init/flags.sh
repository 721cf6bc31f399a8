docker run --mount type=bind,source=./data,target=/data,readonly --mount type=volume,source=v,target=/v \
  -v cache:/cache -v /var/run/docker.sock:/var/run/docker.sock -v /srv/models:/models -v ../up:/up:rw,z \
  --env-file common.env --pids-limit 512 --gpus '"device=0,1"' --runtime=nvidia --pull always --cap-add SYS_ADMIN \
  --network lab --entrypoint python --restart no --init=false -u 1000:1000 -e ORCHESTRATE_X=1 -p 80:80 \
  --hostname n0 -e MASTER_ADDR=n0 -e LIST='a: {{ b }}' my/train@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef train.py
docker run --gpus device=2,3 --mount type=bind,src=./data,dst=/data,ro -v /srv/models:/models \
  --network lab --entrypoint python -e MASTER_ADDR=n0 my/train:2 train.py --more
