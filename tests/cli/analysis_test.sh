# Showing and drawing.
. "$(dirname "$0")/lib.sh"

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
expect 0 show net.onnx --filter 'type:Conv and not name:^stage1'
prints "7 of 29 nodes"
expect 0 show net.onnx --filter 'conv'
prints "7 of 29 nodes"
expect 0 show net.onnx --upstream stage1.conv2 --downstream bn1
prints "6 of 29 nodes"
expect 2 show net.onnx --filter 'type:Conv and'
says "column 14"
expect 1 show net.onnx --upstream nosuch
says "no node 'nosuch'"
expect 0 f2f net.onnx --recipe pact8 -o fake.onnx
expect 0 calibrate fake.onnx --data digits --batches 4 -o fake.onnx
expect 0 show fake.onnx --data digits --limit 8 --type FakeQuantize
prints "SQNR dB"
expect 0 show fake.onnx --data digits --limit 8 --json
prints '"sqnr_db":'

expect 0 draw net.onnx -o net.svg
exists net.svg
grep -q '</svg>' net.svg || fail "the picture does not end"
expect 0 draw fake.onnx -o fake.dot
grep -q '8 bit' fake.dot || fail "no bits on edges"
expect 2 draw net.onnx -o net.png
says "ends in .svg or .dot"
expect 1 draw net.onnx -o nosuch/net.svg
absent nosuch
done_testing
