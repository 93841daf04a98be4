#!/bin/sh
# Ours beside the peers on this machine, interleaved: every round runs each program once for a few
# seconds, and the least over all rounds counts. Absolute times are the machine's; quote ratios.
#
#   bench/compare_peers.sh [TRUQ] [ROUNDS] [WHAT...]
#
# TRUQ: the command, build/truq by default; ROUNDS: 3; WHAT: infer, train, ptq, memory, start; all by
# default. The peers' scripts lie in ../shared/bench ($PEERS_SCRIPTS). Pythons: $PEERS_PYTHON has torch and
# onnxruntime, $PEERS_OV_PYTHON openvino, nncf and ai-edge-litert, $PEERS_TF_PYTHON tensorflow. A peer
# that is missing is named and left out. All programs run the same networks: those that
# export_onnx.py writes, or without torch ours. It writes batch norms folded; training needs them, so steps
# are taken of the networks of `truq zoo`, which are the same.
set -u
here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
truq=${1:-$here/build/truq}
rounds=${2:-3}
[ $# -gt 2 ] && shift 2 || set -- infer train ptq memory start
wanted=" $* "
scripts=${PEERS_SCRIPTS:-$here/../shared/bench}
python=${PEERS_PYTHON:-} ov_python=${PEERS_OV_PYTHON:-} tf_python=${PEERS_TF_PYTHON:-}
[ -x "$truq" ] || { echo "compare_peers: no command '$truq'; run 'make build' first" >&2; exit 1; }
case $truq in /*) ;; *) truq=$PWD/$truq ;; esac
work=$(mktemp -d) || exit 1
trap "rm -rf \"$work\"" EXIT
cd "$work" || exit 1
export BENCH_QUIET_WAIT="${BENCH_QUIET_WAIT:-2}" PYTHONPATH="$scripts"
: >times
want() { case $wanted in *" $1 "*) return 0 ;; esac; return 1; }
missing() { echo "compare_peers: $1 is missing: $2 left out" >&2; }
[ -n "$python" ] || missing PEERS_PYTHON "torch and onnxruntime"
[ -n "$ov_python" ] || missing PEERS_OV_PYTHON "openvino and LiteRT"
[ -n "$tf_python" ] || missing PEERS_TF_PYTHON "LiteRT"

# ---- results: "TITLE <tab> PROGRAM <tab> number", smaller is better -------------------------------
note() { [ -n "$3" ] && printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>times; }
# field NAME: of one line of JSON
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,}\"]*\).*/\1/p"; }
ours() { # TITLE PROGRAM OPTIONS...: of truq bench; the whole line stays in `line`
    title=$1 program=$2
    shift 2
    line=$("$truq" bench "$@" --seconds 2 --json 2>log)
    note "$title" "$program" "$(echo "$line" | field min_ms)"
}
peer() { # PYTHON TITLE PROGRAM SCRIPT OPTIONS...: keeps the variants that $keep names, or all
    python_=$1 title=$2 program=$3 script=$4
    shift 4
    [ -n "$python_" ] && [ -f "$scripts/$script" ] || return
    "$python_" "$scripts/$script" "$@" --budget 3 2>log | while read -r result; do
        variant=$(echo "$result" | field variant)
        case " ${keep:-$variant} " in *" $variant "*)
            note "$title" "$program $variant" "$(echo "$result" | field min_ms)" ;;
        esac
    done
}

# ---- networks: NAME, size of images, how ours is made if torch is missing ----------------------------
networks="mbv1_075:224 efflite0:224 resnet18:224 resnet8:32"
zoo() { # NAME SIZE
    case $1 in
    mbv1_075) "$truq" zoo mobilenet_v1 --capacity 0.75 --input "3x$2x$2" -o "$1_$2.onnx" ;;
    resnet18 | resnet8) "$truq" zoo "$1" -o "$1_$2.onnx" ;;
    *) false ;;
    esac
}
make_float() { # NAME SIZE
    [ -n "$python" ] && "$python" "$scripts/export_onnx.py" --model "$1" --res "$2" --out . >log 2>&1 ||
        zoo "$1" "$2" >log 2>&1
}
random_images() { "${python:-python3}" "$here/bench/random_npz.py" random.npz 2 3 "$1" "$1"; }
cat >lsq.yaml <<'YAML'
base: pact8
rules:
  - {slot: weight, quantizer: lsq, range: i8}
  - {slot: [activation, pool], quantizer: lsq, range: u8}
  - {slot: [add, concat, interposed], quantizer: lsq, range: i8}
YAML
for network in mbv1_075:128 resnet8:32; do # trained
    name=${network%:*} size=${network#*:}
    zoo "$name" "$size" && mv "${name}_$size.onnx" "${name}_norms.onnx" &&
        "$truq" f2f "${name}_norms.onnx" --recipe pact8 -o "${name}_norms.fake.onnx" >log &&
        "$truq" f2f "${name}_norms.onnx" --recipe lsq.yaml -o "${name}_norms.lsq.onnx" >log
done
for network in $networks; do
    name=${network%:*} size=${network#*:}
    file=${name}_$size
    make_float "$name" "$size" && "$truq" f2f "$file.onnx" --recipe pact8 -o "$file.fake.onnx" >log 2>&1 &&
        random_images "$size" && "$truq" calibrate "$file.fake.onnx" --data npz:random.npz -o "$file.cal.onnx" >log 2>&1 &&
        "$truq" f2t "$file.cal.onnx" -o "$file.true.onnx" >log 2>&1 ||
        echo "compare_peers: no $file: $(tail -n 1 log)" >&2
done
if want infer; then
    for network in $networks; do
        [ -n "$python" ] && "$python" "$scripts/ort_quant.py" --onnx "${network%:*}_${network#*:}.onnx" --images 16 --out . >log 2>&1
    done
    [ -n "$tf_python" ] && "$tf_python" "$here/bench/keras_resnet8.py" resnet8.tflite >log 2>&1 || missing resnet8.tflite LiteRT
fi

# ---- rounds ----------------------------------------------------------------------------------------
infer() {
    for network in $networks; do
        name=${network%:*} file=${network%:*}_${network#*:}
        for t in 1 2; do
            title="int8 inference of $name, batch 1, $t threads, ms"
            [ -f "$file.true.onnx" ] && ours "$title" truq "$file.true.onnx" --infer -t $t
            [ -f "${file}_MinMax_u8.onnx" ] && peer "$python" "$title" onnxruntime infer_ort.py "${file}_MinMax_u8.onnx" --threads $t
            keep=int8 peer "$ov_python" "$title" openvino infer_openvino.py "$file.onnx" --threads $t
            keep="fx_int8_onednn fx_int8_x86 fx_int8_fbgemm" peer "$python" "$title" torch infer_torch.py --model "$name" --int8 --threads $t
            [ "$name" = resnet8 ] && [ -f resnet8.tflite ] && peer "$ov_python" "$title" LiteRT infer_tflite.py resnet8.tflite --threads $t
        done
    done
}
train() {
    for network in mbv1_075:16:128 resnet8:64:32; do
        name=${network%%:*} rest=${network#*:}
        batch=${rest%:*} size=${rest#*:}
        file=${name}_norms title="step of $name, $size x $size, batch $batch, 2 threads, ms"
        ours "$title" truq "$file.onnx" --train -b "$batch" -t 2
        ours "$title" "truq QAT" "$file.fake.onnx" --train -b "$batch" -t 2
        ours "$title" "truq QAT, learned scales" "$file.lsq.onnx" --train -b "$batch" -t 2
        ours "$title" "truq bf16" "$file.onnx" --train -b "$batch" -t 2 --compute bf16
        keep="eager_nchw eager_nhwc eager_nhwc_bf16" peer "$python" "$title" torch train_float.py --bf16 --model "$name" --res "$size" --batch "$batch" --threads 2
        keep=fx peer "$python" "$title" "torch.ao QAT" train_qat.py --stack fx --model "$name" --res "$size" --batch "$batch" --threads 2
    done
}
ptq() {
    for network in mbv1_075:224 resnet18:224 efflite0:224; do
        file=${network%:*}_${network#*:} title="calibration of ${network%:*}, 128 images, 2 threads, ms"
        ours "$title" truq "$file.fake.onnx" --ptq -b 32 --images 128 -t 2
        note "$title" "truq, its float forward alone" "$(echo "$line" | field forward_ms)"
        [ -n "$python" ] && [ "${network%:*}" != efflite0 ] && "$python" "$scripts/ort_quant.py" --onnx "$file.onnx" --images 128 \
            --methods "$([ "$1" = 1 ] && echo MinMax,Entropy,Percentile || echo MinMax)" --out . --threads 2 2>log | while read -r result; do
            note "$title" "onnxruntime $(echo "$result" | field method)" "$(echo "$result" | field wall_s | awk '{ print $1 * 1000 }')"
        done
    done
}
memory() {
    for network in mbv1_075:16:128 resnet8:64:32; do
        name=${network%%:*} rest=${network#*:}
        batch=${rest%:*} size=${rest#*:}
        title="peak memory of a step of $name, batch $batch, MB"
        for kind in "truq:onnx" "truq QAT:fake.onnx"; do
            line=$("$truq" bench "${name}_norms.${kind#*:}" --train -b "$batch" -t 2 --seconds 1 --json 2>log)
            note "$title" "${kind%:*}" "$(echo "$line" | field peak_rss_mb)"
        done
        [ -n "$python" ] || continue
        for kind in float fx; do
            note "$title" "torch $kind" "$("$python" "$here/bench/torch_memory.py" "$name" "$size" "$batch" $kind 2>log | field peak_rss_mb)"
        done
    done
}
start() {
    for words in "--version" "show efflite0_224.onnx"; do
        title="truq $words, ms"
        note "$title" truq "$("${python:-python3}" - "$truq" $words <<'PY'
import subprocess, sys, time
def once():
    start = time.perf_counter()
    subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
print(f"{min(once() for _ in range(10)) * 1e3:.3f}")
PY
)"
    done
}
round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    for what in infer train ptq memory start; do
        want $what && $what $round
    done
done

# ---- ratios: to ours of the same title ------------------------------------------------------------
sort times | awk -F '\t' '
    { key = $1 "\t" $2; if (!(key in least) || $3 + 0 < least[key]) least[key] = $3 + 0 }
    END { for (k in least) { split(k, p, "\t"); if (p[2] == "truq") ours[p[1]] = least[k] }
          for (k in least) { split(k, p, "\t")
              ratio = (p[1] in ours) ? sprintf("%.2f", least[k] / ours[p[1]]) : "-"
              printf "%-58s %-38s %10.4f  %7s x\n", p[1], p[2], least[k], ratio } }' | sort
