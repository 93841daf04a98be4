# Several processes train one network: whatever their number, the files are the same bytes; the first
# one speaks for all.
. "$(dirname "$0")/lib.sh"

command -v mpirun >/dev/null 2>&1 || { echo "skip ranks: mpirun is not installed"; exit 77; }
flags=
case $(mpirun --version 2>&1) in
*'Open MPI'*)
    flags='-q --oversubscribe --bind-to none'
    [ "$(id -u)" -ne 0 ] || flags="$flags --allow-run-as-root" ;;
esac
export ASAN_OPTIONS=detect_leaks=0 # a sanitised build would tell of those of MPI
mpirun $flags -n 1 "$truq" --version >out 2>err || { echo "skip ranks: mpirun does not run"; exit 77; }
# ranks N STATUS ARGS...: as expect, on N ranks; MPI may say more on standard error
ranks() {
    n=$1 status=$2
    shift 2
    timeout 120 mpirun $flags -n "$n" "$truq" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$status" ] || fail "$n x truq $*: exit $got, expected $status"
}
# once TEXT: standard output says it one time
once() { [ "$(grep -cF -- "$1" out)" -eq 1 ] || fail "the output does not hold '$1' once"; }
same() { cmp -s "$1" "$2" || fail "'$1' and '$2' differ"; }


expect 0 zoo resnet8 --input 1x8x8 -o float.onnx
expect 0 f2f float.onnx --recipe pact8 -o fq.onnx
expect 0 calibrate fq.onnx --data digits --batches 4 -o fq.onnx

train() { # NAME OPTIONS...
    name=$1
    shift
    echo train fq.onnx --data digits -t 1 --batch 40 --epochs 2 --seed 3 --run "$name.run" -o "$name.onnx" "$@"
}
expect 0 $(train alone)
for n in 2 3 4; do
    ranks $n 0 $(train by$n)
    once "wrote by$n.onnx"
    same alone.onnx by$n.onnx
    same alone.run/checkpoint by$n.run/checkpoint
    same alone.run/best.onnx by$n.run/best.onnx
done

# two ranks stop, one goes on; and the other way round
ranks 2 0 $(train parts --steps 60)
expect 0 $(train parts --resume)
same alone.onnx parts.onnx
expect 0 $(train turned --steps 60)
ranks 3 0 $(train turned --resume)
same alone.onnx turned.onnx

# in little memory, with float gradients of all kinds, and a last batch smaller than the ranks
expect 0 train float.onnx --data digits --batch 4 -t 1 --run few.run -o few.onnx
ranks 3 0 train float.onnx --data digits --batch 4 -t 1 --memory 1 --run few3.run -o few3.onnx
same few.onnx few3.onnx

expect 0 eval alone.onnx --data digits -t 1 --save alone.csv
cut -d, -f1-3 out >text
ranks 3 0 eval alone.onnx --data digits -t 1 --save by3.csv
cut -d, -f1-3 out >text3
same text text3
same alone.csv by3.csv

ranks 2 2 show alone.onnx
grep -q "'truq show' does not share its work" err || fail "show on two ranks is not refused"
ranks 2 1 train missing.onnx --data digits -o never.onnx
[ "$(grep -c '^truq: ' err)" -eq 1 ] || fail "not one line 'truq: ...'"
says "missing.onnx"
ranks 4 1 train float.onnx --data digits --batch 40 --shards 2 --steps 1 -o never.onnx
says "--shards"
absent never.onnx
done_testing
