#!/usr/bin/env python3
"""The reference for training from scratch: MLPerf Tiny's ResNet8 on CIFAR-10 JPEGs in PyTorch, with the
recipe that `truq train` is compared under (docs/results.md): SGD momentum 0.9, weight decay 1e-4, lr 0.05,
cosine to 0 over all steps, batch 64, random crop 32 with padding 4, horizontal flip, pixels 0..255.
usage: pytorch_resnet8.py CIFAR_FOLDER --epochs 10 --seed 0 [--threads 2]     prints one JSON line an epoch
CIFAR_FOLDER holds train.tar and test.tar with members class/NNNN.jpg. Needs torch, numpy, pillow."""
import argparse
import io
import json
import math
import os
import tarfile
import time

import numpy as np
import torch
from PIL import Image
from torch import nn


def load(path):
    images, folders = [], []
    with tarfile.open(path) as tar:
        members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
        for member in members:
            data = tar.extractfile(member).read()
            images.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
            folders.append(os.path.basename(os.path.dirname(member.name)))
    rank = {name: i for i, name in enumerate(sorted(set(folders)))}
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor([rank[f] for f in folders])


class Same(nn.Conv2d):
    """Keras' SAME padding: for stride 2 and kernel 3 one row and column at the end only."""

    def __init__(self, cin, cout, kernel, stride):
        super().__init__(cin, cout, kernel, stride, padding=1 if kernel == 3 and stride == 1 else 0)
        self.before = kernel == 3 and stride == 2

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)) if self.before else x)


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = Same(cin, cout, 3, stride), nn.BatchNorm2d(cout, eps=1e-3)
        self.conv2, self.bn2 = Same(cout, cout, 3, 1), nn.BatchNorm2d(cout, eps=1e-3)
        self.shortcut = Same(cin, cout, 1, stride) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.shortcut(x) + self.bn2(self.conv2(y)))


def resnet8():
    net = nn.Sequential(Same(3, 16, 3, 1), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU(), Block(16, 16, 1),
                        Block(16, 32, 2), Block(32, 64, 2), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(m.bias)
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)
    return net


def augment(x):
    n = x.shape[0]
    padded = nn.functional.pad(x, (4, 4, 4, 4))
    out = torch.empty_like(x)
    top, left = torch.randint(0, 9, (n,)), torch.randint(0, 9, (n,))
    flip = torch.rand(n) < 0.5
    for i in range(n):
        crop = padded[i, :, top[i]:top[i] + 32, left[i]:left[i] + 32]
        out[i] = crop.flip(2) if flip[i] else crop
    return out


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        hits = sum((net(x[i:i + 500].float()).argmax(1) == y[i:i + 500]).sum().item() for i in range(0, len(x), 500))
    net.train()
    return 100.0 * hits / len(x)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    x, y = load(os.path.join(a.folder, "train.tar"))
    xt, yt = load(os.path.join(a.folder, "test.tar"))
    net = resnet8()
    opt = torch.optim.SGD(net.parameters(), lr=a.lr, momentum=0.9, weight_decay=1e-4)
    steps = a.epochs * math.ceil(len(x) / a.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for epoch in range(a.epochs):
        start, total = time.time(), 0.0
        for ids in torch.randperm(len(x)).split(a.batch):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(augment(x[ids]).float()), y[ids])
            loss.backward()
            opt.step()
            schedule.step()
            total += loss.item() * len(ids)
        print(json.dumps({"seed": a.seed, "epoch": epoch + 1, "loss": round(total / len(x), 4),
                          "top1": round(evaluate(net, xt, yt), 2), "seconds": round(time.time() - start, 1)}), flush=True)


if __name__ == "__main__":
    main()
