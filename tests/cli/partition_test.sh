# A network cut at what a target runs: the files, one after the other, make what the whole makes.
. "$(dirname "$0")/lib.sh"

# one sample of 64 ascending floats, as .npy
npy() {
    header="{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8, 8), }"
    printf '\223NUMPY\001\000\166\000%-117s\n' "$header" >"$1"
    i=0
    while [ $i -lt 64 ]; do
        printf "\\000\\000\\$(printf %03o $((i * 2)))\\077"
        i=$((i + 1))
    done >>"$1"
}
npy x.npy

# in FOLDER PARTS...: runs the parts in order from x.npy, each on what the one before made
compose() {
    folder=$1
    shift
    expect 0 infer $folder/whole.onnx --in x.npy --out whole.npz
    cp x.npy step.npy
    last=step.npy
    for part in "$@"; do
        expect 0 infer $folder/$part --in $last --out $part.npz
        last=$part.npz
    done
    cmp -s $last whole.npz || fail "$folder: the parts make something else than the whole"
}

expect 0 zoo resnet8 --input 1x8x8 --classes 10 --capacity 0.5 -o net.onnx
expect 0 partition net.onnx --backend dory --device-ops Conv,BatchNormalization,Relu,Add -o float
prints "2 parts, 512 bytes cross between devices"
exists float/partition.json
prints "Gemm is not among the operators for the device"
compose float part0_dory.onnx part1_cpu.onnx

expect 0 partition net.onnx --backend dory --device-ops Conv,BatchNormalization,Relu,Add -r pact8 -o fake
prints "2 parts, 128 bytes cross between devices"
expect 0 calibrate fake/whole.onnx --data digits --batches 4 -o whole.onnx
expect 0 partition whole.onnx --backend dory -o fake --json
prints '"bytes": 128'
compose fake part0_dory.onnx part1_cpu.onnx
expect 0 train whole.onnx --data digits --epochs 1 --lr 0.01 -o trained.onnx
# the target's part goes on by itself
expect 0 f2t fake/part0_dory.onnx --backend dory -o part.onnx
expect 0 verify part.onnx

expect 0 f2t whole.onnx --partial --backend dory -o mixed.onnx
expect 1 verify mixed.onnx
says "'truq partition' makes files of its integer parts"
expect 0 partition mixed.onnx --backend dory -o mixed
prints "3 parts, 192 bytes cross between devices"
compose mixed part0_cpu.onnx part1_dory.onnx part2_cpu.onnx
expect 0 verify mixed/part1_dory.onnx
expect 0 export mixed/part1_dory.onnx --backend dory -o exported
prints "wrote exported: what dory takes"
exists exported/input.txt

expect 1 partition net.onnx --backend dory --device-ops Nosuch -o none
says "unknown op"
expect 1 partition whole.onnx --backend dory --recipe pact8 -o none
says "float networks"
expect 2 partition net.onnx --backend dory
absent none
done_testing
