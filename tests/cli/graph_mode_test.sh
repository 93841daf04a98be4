# The graph mode step by step: observers, calibration, pairs, integers.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
expect 0 edit net.onnx --pipeline graph-mode --stop-after insert-observers --log -o observed.onnx
prints "observers inserted"
expect 0 show observed.onnx --type Observer
prints "Observer"
expect 1 edit observed.onnx --pipeline graph-mode -o pairs.onnx
says "observer '"
absent pairs.onnx
expect 0 calibrate observed.onnx --data digits --batches 4 -o observed.onnx
expect 0 edit observed.onnx --pipeline graph-mode --stop-after observers-to-qdq --dump-after observers-to-qdq -o pairs.onnx
prints "# after observers-to-qdq"
prints "DequantizeLinear"
expect 0 edit pairs.onnx --pipeline graph-mode -o integers.onnx
expect 0 show integers.onnx --type ConvInteger,MatMulInteger
prints "10 of"
expect 0 eval pairs.onnx --data digits --save pairs.csv
expect 0 eval integers.onnx --data digits --save integers.csv
expect 0 compare pairs.csv integers.csv
prints "equal predictions:"
# one editor at a time is the same
expect 0 edit observed.onnx --editor observers-to-qdq --editor fuse-dq-op-q --editor merge-requants -o other.onnx
expect 0 eval other.onnx --data digits --save other.csv
cmp -s integers.csv other.csv || fail "editors by name make another network than the pipeline"
expect 1 edit net.onnx --pipeline nosuch -o x.onnx
says "unknown pipeline 'nosuch'"
expect 2 edit net.onnx -o x.onnx
says "--pipeline NAME"
done_testing
