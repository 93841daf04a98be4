# Weights of a checkpoint into a network, by name.
files=$(cd "$(dirname "$0")/../data/importers" && pwd)
. "$(dirname "$0")/lib.sh"

cat >net.yaml <<'END'
name: net
input: [4]
layers:
  - Gemm: { name: fc, channels: 3 }
END
expect 0 zoo --from net.yaml -o net.onnx

# what a wrapper put before all names goes by itself
expect 0 load net.onnx --weights "$files/torch.ckpt" -o loaded.onnx
prints "'module.' is left off the names"
prints "2 of 7 arrays went into the network"
prints "left: extra: 'turned'"
expect 0 codegen loaded.onnx --lang text
prints "fc.bias: f32[3] = {12.0, 13.0, 14.0}"

# names that --map makes are taken as they are
expect 1 load net.onnx --weights "$files/torch.ckpt" --map '^nothing=' -o none.onnx
says "missing: 'fc.weight', 'fc.bias'"
expect 0 load net.onnx --weights "$files/torch.ckpt" --map '^(module)\.=' -o mapped.onnx
cmp -s loaded.onnx mapped.onnx || fail "--map gives something else"

expect 1 load net.onnx --weights "$files/torch.ckpt" --strict -o none.onnx
says "extra: 'turned'"
expect 3 load net.onnx --weights "$files/command.ckpt" -o none.onnx
says "it asks for 'posix.system'"
# a batch norm that was folded into the convolution: its weight is another one
cat >bn.yaml <<'END'
name: bn
input: [2, 4, 4]
layers:
  - Conv: { name: conv, channels: 3, kernel_shape: 1 }
  - BatchNormalization: { name: bn }
  - Relu: { name: relu }
END
expect 0 zoo --from bn.yaml -o bn.onnx
expect 0 edit bn.onnx --editor fold-batchnorm -o folded.onnx
expect 1 load folded.onnx --weights "$files/norms.npz" -o none.onnx
says "'bn.running_mean'), the network has none"
expect 0 load bn.onnx --weights "$files/norms.npz" --strict -o normed.onnx

expect 2 load net.onnx --weights net.yaml -o none.onnx
absent none.onnx
done_testing
