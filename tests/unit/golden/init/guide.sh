#!/bin/sh
# The guide: an image, a network, then one container for each rank.
docker build -t my/train:1 -f docker/Dockerfile --build-arg TORCH=2.13.0 .
docker network create train-net
docker run -d --rm --name rank0 --network train-net \
  --gpus all --shm-size=1g --ulimit memlock=-1 --ipc=host \
  -e RANK=0 -e WORLD_SIZE=2 -e MASTER_ADDR=localhost -e MASTER_PORT=29501 \
  -v "$PWD/data:/data:ro" \
  my/train:1 python train.py --epochs 1
docker run -d --rm --name rank1 --network train-net \
  --gpus all --shm-size=1g --ulimit memlock=-1 --ipc=host \
  -e RANK=1 -e WORLD_SIZE=2 -e MASTER_ADDR=localhost -e MASTER_PORT=29501 \
  -v "$PWD/data:/data:ro" \
  my/train:1 python train.py --epochs 1
docker logs -f rank0
