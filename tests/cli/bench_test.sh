# truq bench: every mode prints the keys that scripts read; what does not go together is refused.
. "$(dirname "$0")/lib.sh"

expect 0 zoo ds_cnn -o float.onnx
expect 0 f2f float.onnx --recipe pact8 -o fake.onnx
for mode in --infer --train "--ptq --images 4"; do
    expect 0 bench fake.onnx $mode -b 2 -t 1 --seconds 0.05 --json
    for key in min_ms med_ms images_per_s peak_rss_mb; do
        prints "\"$key\": "
    done
done
prints "forward_ms"
expect 0 bench float.onnx --infer --layers --seconds 0.05 -t 1
prints "GMAC/s"
prints "least "
expect 2 bench fake.onnx --infer --train
says "exclude each other"
expect 2 bench fake.onnx --layers --json
says "--layers goes with --infer"
expect 1 bench missing.onnx
says "missing.onnx"

# a network that was written for one batch takes another if its outputs follow
cat >one.txt <<'EOF'
graph "one" { input x: f32[1,2,4,4] const s: i64[2] = {1, 32} t = Reshape(x, s) y = Relu(t) }
EOF
expect 0 bench one.txt -b 3 --seconds 0.05 -t 1
prints "images/s"
cat >two.txt <<'EOF'
graph "two" { input x: f32[2,3] const k: f32[2,1] = 1 y = Add(x, k) }
EOF
expect 0 bench two.txt -b 2 --seconds 0.05 -t 1
expect 1 bench two.txt -b 3 --seconds 0.05 -t 1
says "input 'x' is f32[2,3]: --batch 3 is not possible"
done_testing
