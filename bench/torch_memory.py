#!/usr/bin/env python3
"""Peak memory of training steps in torch, of one model alone: torch_memory.py MODEL SIZE BATCH float|fx
The models are those of the peers' scripts, which must be on PYTHONPATH."""
import json, resource, sys, warnings

warnings.filterwarnings("ignore")
import torch
from models import make

name, size, batch, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(2)
x = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
y = torch.randint(0, 10, (batch,))
model = make(name).train()
if kind == "fx":
    from torch.ao.quantization import get_default_qat_qconfig_mapping
    from torch.ao.quantization.quantize_fx import prepare_qat_fx

    model = prepare_qat_fx(model, get_default_qat_qconfig_mapping("x86"), (x[:1],))
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
for _ in range(10):
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
print(json.dumps({"variant": kind, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
