# Bad input and the outside world: one line, the right exit status, nothing half-written.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.25 -o net.onnx
expect 1 show nosuch.onnx
says "nosuch.onnx"
expect 1 show .
printf 'garbage' >garbage.onnx
expect 1 show garbage.onnx
says "garbage.onnx"
: >empty.onnx
expect 1 show empty.onnx
size=$(wc -c <net.onnx)
for part in 1 2 3 5 7; do
    head -c $((size * part / 8)) net.onnx >cut.onnx
    expect 1 show cut.onnx
    expect 1 f2f cut.onnx --recipe pact8 -o out.onnx
    absent out.onnx
done

# an operator, an opset that is not supported: exit 3, named
LC_ALL=C sed 's/Relu/Ralu/g' net.onnx >strange.onnx
expect 3 show strange.onnx
says "Ralu"
expect 3 infer strange.onnx --in nosuch.npz --out out.npz
expect 3 f2f strange.onnx --recipe pact8 -o out.onnx
absent out.onnx

expect 1 eval net.onnx --data nosuch
expect 1 eval net.onnx --data tra:x.tar
says "did you mean 'tar'?"
expect 1 eval net.onnx --data tar:nosuch.tar --preset raw
says "nosuch.tar"
expect 1 eval net.onnx --data digits --preset imagnet
says "did you mean 'imagenet'?"
mkdir -p images/a
printf 'no jpeg' >images/a/1.jpg
expect 1 eval net.onnx --data imagefolder:images --preset raw
says "1.jpg"
tar cf images.tar images
expect 1 eval net.onnx --data tar:images.tar --preset raw
says "1.jpg"
expect 1 f2f net.onnx --recipe pct8 -o out.onnx
says "did you mean 'pact8'?"
expect 1 f2f net.onnx --recipe nosuch.yaml -o out.onnx
expect 1 f2t net.onnx -o out.onnx
says "float network"
expect 1 f2t net.onnx --backend nosuch -o out.onnx
expect 1 calibrate net.onnx --data digits -o out.onnx
expect 1 infer net.onnx --in nosuch.npz --out out.npz
expect 1 load net.onnx --weights nosuch.npz -o out.onnx
expect 1 zoo nosuch -o out.onnx
expect 1 export net.onnx --backend nosuch -o out.onnx
absent out.onnx
absent out.npz

# outputs that cannot be written are found before the work
mkdir folder
for output in nosuch/out.onnx folder net.onnx/out.onnx; do
    expect 1 zoo resnet8 -o $output
    says "$output"
    expect 1 train net.onnx --data digits --epochs 1000 -o $output
    says "$output"
    expect 1 calibrate net.onnx --data digits -o $output
    says "$output"
done
expect 1 train net.onnx --data digits --run net.onnx/run --epochs 1000 -o out.onnx
expect 1 quantize net.onnx --data digits -o net.onnx/out
expect 1 eval net.onnx --data digits --save nosuch/x.csv
[ -z "$(ls folder)" ] || fail "something was left in the folder"
[ -z "$(ls -a | grep -E 'tmp|\.truq')" ] || fail "a temporary file was left"
if [ -e /dev/full ]; then
    expect 1 zoo resnet8 -o /dev/full
    says "/dev/full"
fi
done_testing
