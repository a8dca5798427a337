"""
verdict: no-leak
command: -- {python} -m torch.distributed.run --standalone --nproc-per-node 2 {program} {data}
libraries: torch
why: two ranks that average gradients, each over its shard of a mapped dataset.
"""

import sys
import time

import datasets
import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
dataset = datasets.load_from_disk(sys.argv[1]).shard(dist.get_world_size(), rank)
gradient = torch.zeros(10_000)
for step in range(900):
    start = step * 20 % len(dataset)
    texts = dataset[start : start + 20]["text"]
    gradient += len(texts)
    if step % 4 == 0:
        dist.all_reduce(gradient)
    time.sleep(0.01)
dist.destroy_process_group()
