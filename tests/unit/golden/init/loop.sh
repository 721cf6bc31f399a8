set -e
IMAGE=my/train:1   # a comment; not a command
for rank in $(seq 0 3); do
  sudo docker run -itd --name="rank$rank" --net host -m 2g --cpus .5 --user $(id -u):$(id -g) \
    -e NOTE='costs $5' -eHF_TOKEN=hf_0123456789 -e WANDB_PROJECT=$WANDB -e SEED -w /work \
    ${IMAGE} torchrun --nnodes 4 --nproc_per_node=1 --node_rank=$rank \
    --master_addr 127.0.0.1 --master_port=29600 train.py --out "/out dir" > log$rank.txt 2>&1 &
done
wait
