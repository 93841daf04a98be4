#!/bin/sh
# Does the loader keep up? An epoch of quantisation-aware training, images from a tar of JPEGs, beside as
# many bare steps: ResNet8, batch 64, random crops and flips. The first epoch decodes; later ones take
# decoded images from the cache, so their time is what three epochs take longer than one, by two.
#
#   bench/epoch.sh TRAIN.tar [TRUQ]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
data=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
truq=${2:-$here/build/truq}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$truq" zoo resnet8 -o float.onnx >log
"$truq" f2f float.onnx --recipe pact8 -o fake.onnx >log
"$truq" calibrate fake.onnx --data "tar:$data" --preset cifar10 --batches 4 -o fake.onnx >log
seconds() { # EPOCHS
    start=$(date +%s.%N)
    "$truq" train fake.onnx --data "tar:$data" --preset cifar10 --epochs "$1" --batch 64 --seed 1 -o "out$1.onnx" >log 2>&1
    echo "$start $(date +%s.%N)" | awk '{ print $2 - $1 }'
}
step() { # least and median, ms
    "$truq" bench fake.onnx --train -b 64 --seconds 4 --json | sed -n 's/.*"min_ms": \([0-9.]*\), "med_ms": \([0-9.]*\).*/\1 \2/p'
}
before=$(step)
one=$(seconds 1)
steps=$(sed -n 's/^\([0-9]*\) steps.*/\1/p' log)
three=$(seconds 3)
after=$(step)
echo "$one $three $steps $before $after" | awk '{
    epoch = ($2 - $1) / 2; least = $4 < $6 ? $4 : $6; median = ($5 + $7) / 2
    printf "an epoch of %d steps: %.2f s with decoding, %.2f s from the cache\n", $3, $1, epoch
    printf "bare steps: least %.2f ms, median %.2f ms; the epoch takes %.3f times as many of the least, %.3f of the median\n",
        least, median, epoch * 1000 / $3 / least, epoch * 1000 / $3 / median }'
