#!/bin/sh
# Ours beside the peers on this machine, interleaved: every round runs each program once for a few
# seconds, and the least time over all rounds counts. Absolute times are the machine's; quote ratios.
#
#   bench/compare_peers.sh [TRUQ] [ROUNDS]
#
# TRUQ: the command, build/truq by default; ROUNDS: 3. The peers' scripts lie in ../shared/bench
# ($PEERS_SCRIPTS); $PEERS_PYTHON is a python that has torch, onnxruntime, openvino, ... A peer that is
# missing is named and left out.
set -u
here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
truq=${1:-$here/build/truq}
rounds=${2:-3}
scripts=${PEERS_SCRIPTS:-$here/../shared/bench}
python=${PEERS_PYTHON:-}
[ -x "$truq" ] || { echo "compare_peers: no command '$truq'; run 'make build' first" >&2; exit 1; }
case $truq in /*) ;; *) truq=$PWD/$truq ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export BENCH_QUIET_WAIT="${BENCH_QUIET_WAIT:-2}"

# keep TITLE PROGRAM: reads lines of JSON and keeps "TITLE <tab> PROGRAM[ variant] <tab> min_ms".
keep() {
    sed -n 's/.*"min_ms": *\([0-9.]*\).*/\1 &/p' | while read -r ms line; do
        variant=$(printf '%s\n' "$line" | sed -n 's/.*"variant": *"\([^"]*\)".*/ \1/p')
        printf '%s\t%s%s\t%s\n' "$1" "$2" "$variant" "$ms" >>times
    done
}
ours() { # TITLE MODEL OPTIONS...
    title=$1
    shift
    "$truq" bench "$@" --seconds 2 --json 2>log | keep "$title" truq
}
peer() { # TITLE PROGRAM SCRIPT OPTIONS...
    title=$1 program=$2 script=$3
    shift 3
    [ -n "$python" ] && [ -f "$scripts/$script" ] || return
    "$python" "$scripts/$script" "$@" --budget 3 2>log | keep "$title" "$program"
}

# ---- models: the same architectures, made by each ------------------------------------------------
make_ours() { # NAME ZOO OPTIONS...
    name=$1
    shift
    "$truq" zoo "$@" -o "$name.float.onnx" >log &&
        "$truq" f2f "$name.float.onnx" --recipe pact8 -o "$name.fake.onnx" >log
}
make_ours mbv1_075 mobilenet_v1 --capacity 0.75 || exit 1
make_ours resnet8 resnet8 || exit 1
make_ours resnet18 resnet18 || exit 1
make_ours mbv1_075_128 mobilenet_v1 --capacity 0.75 --input 3x128x128 || exit 1
models="mbv1_075:224 resnet8:32 resnet18:224"

# True-quantised ones need data once: a few random images, written with python's own library.
random_images() { # SIZE
    "${python:-python3}" - "$1" <<'PY'
import array, random, struct, sys, zipfile
size = int(sys.argv[1])
random.seed(0)
data = array.array("f", (random.gauss(0, 1) for _ in range(2 * 3 * size * size))).tobytes()
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, %d, %d), }" % (size, size)
header += " " * (-(len(header) + 11) % 64) + "\n"
with zipfile.ZipFile("random.npz", "w") as z:
    z.writestr("inputs.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)
PY
}
for m in $models; do
    name=${m%:*}
    random_images "${m#*:}" 2>log &&
        "$truq" calibrate "$name.fake.onnx" --data npz:random.npz -o "$name.cal.onnx" >log 2>&1 &&
        "$truq" f2t "$name.cal.onnx" -o "$name.true.onnx" >log 2>&1 ||
        echo "compare_peers: no integer $name: $(tail -n 1 log)" >&2
    [ -n "$python" ] || continue
    "$python" "$scripts/export_onnx.py" --model "$name" --out . >log 2>&1 &&
        "$python" "$scripts/ort_quant.py" --onnx "${name}_${m#*:}.onnx" --images 16 --out . >log 2>&1 ||
        echo "compare_peers: no onnxruntime $name: $(tail -n 1 log)" >&2
done
[ -n "$python" ] || echo "compare_peers: PEERS_PYTHON is not set: ours alone" >&2

# ---- rounds ----------------------------------------------------------------------------------------
: >times
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    for m in $models; do
        name=${m%:*} file=${m%:*}_${m#*:}
        for t in 1 2; do
            title="int8 inference, $name, batch 1, $t threads"
            [ -f "$name.true.onnx" ] && ours "$title" "$name.true.onnx" --infer -t $t
            [ -f "${file}_MinMax_u8.onnx" ] &&
                peer "$title" onnxruntime infer_ort.py "${file}_MinMax_u8.onnx" --threads $t
            [ -f "$file.onnx" ] && peer "$title" openvino infer_openvino.py "$file.onnx" --threads $t
            peer "$title" torch infer_torch.py --model "$name" --int8 --threads $t
        done
    done
    for m in mbv1_075:mbv1_075_128:16:128 resnet8:resnet8:64:32; do
        name=${m%%:*} rest=${m#*:}
        file=${rest%%:*} rest=${rest#*:}
        batch=${rest%:*} res=${rest#*:}
        title="QAT step, $name, batch $batch, 2 threads"
        ours "$title" "$file.fake.onnx" --train -b "$batch" -t 2
        peer "$title" torch.ao train_qat.py --stack fx --model "$name" --res "$res" --batch "$batch" --threads 2
        title="float step, $name, batch $batch, 2 threads"
        ours "$title" "$file.float.onnx" --train -b "$batch" -t 2
        peer "$title" torch train_float.py --model "$name" --res "$res" --batch "$batch" --threads 2
    done
done

# ---- ratios ------------------------------------------------------------------------------------------
sort times | awk -F '\t' '
    { key = $1 "\t" $2; if (!(key in least) || $3 + 0 < least[key]) least[key] = $3 + 0 }
    END { for (k in least) { split(k, p, "\t"); if (p[2] == "truq") ours[p[1]] = least[k] }
          for (k in least) { split(k, p, "\t")
              ratio = (p[1] in ours) ? sprintf("%.2f", least[k] / ours[p[1]]) : "-"
              printf "%-48s %-34s %10.4f ms  %6s x ours\n", p[1], p[2], least[k], ratio } }' | sort
