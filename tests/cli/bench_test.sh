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
done_testing
