#!/bin/sh
# scripts/check_rooms finds each kind of breach, and nothing in sources that keep to the rules.
# usage: check_rooms_test.sh <project folder>
set -eu
project=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/docs" "$tree/cmake" "$tree/src/base" "$tree/src/ops" "$tree/src/engine" "$tree/src/cli" \
    "$tree/src/kernels/f32" "$tree/src/tensor" "$tree/src/dist" "$tree/src/train"
cp "$project/docs/style.md" "$tree/docs/"
cp "$project/cmake/rooms.cmake" "$tree/cmake/"

# expect <file> <include> <part of the message; empty: none may come>
n_failed=0
expect() {
    printf '#include %s\n' "$2" >"$tree/$1"
    said=$(sh "$project/scripts/check_rooms" "$tree" 2>&1) && status=0 || status=$?
    rm "$tree/$1"
    case $3 in
    '') [ "$status" -eq 0 ] && return ;;
    *) case $status$said in 1*"$3"*) return ;; esac ;;
    esac
    echo "$1 with #include $2: expected '$3', got '$said' ($status)"
    n_failed=$((n_failed + 1))
}

expect src/ops/relu.c '<truq/tensor.h>' ''
expect src/ops/relu.c '"ops/ops_internal.h"' ''
expect src/ops/relu.c '"base/base.h"' ''
expect src/ops/relu.c '<math.h>' ''
expect src/tensor/crc.c '<zlib.h>' ''
expect src/kernels/f32/conv.c '<oneapi/dnnl/dnnl.h>' ''
expect src/dist/mpi.c '<mpi.h>' ''
expect src/dist/ranks.c '<truq/threads.h>' ''
expect src/train/loop.c '"dist/dist.h"' ''
expect src/cli/show.c '<truq/truq.h>' ''
expect src/cli/show.c '"cli/options.h"' ''

expect src/base/status.c '<truq/graph.h>' 'base may not include'
expect src/ops/relu.c '"engine/engine.h"' 'ops may not include engine'
expect src/engine/run.c '"ops/ops_internal.h"' 'an internal header stays in its room'
expect src/engine/run.c '"ops/broadcast.h"' 'the door of that room is ops/ops.h'
expect src/engine/run.c '"../ops/ops.h"' 'a path may not climb'
expect src/engine/run.c '  "nowhere/x.h"' 'no such room'
expect src/ops/relu.c '<zlib.h>' 'ops does not own ZLIB'
expect src/ops/relu.c '<immintrin.h>' 'sees intrinsics'
expect src/train/loop.c '<mpi.h>' 'train does not own MPI'
expect src/engine/run.c '"dist/dist.h"' 'engine may not include dist'
expect src/dist/ranks.c '<truq/tensor.h>' 'dist may not include'
expect src/engine/run.c '<oneapi/dnnl/dnnl.h>' 'sees oneDNN'
expect src/ops/relu.c '<curl/curl.h>' 'nor a known one'
expect src/cli/show.c '"ir/ir.h"' 'the public API alone'
expect src/cli/show.c '<yaml.h>' 'the public API alone'
mkdir "$tree/src/attic"
expect src/attic/old.c '<math.h>' 'src/attic: in no row of the table'
[ "$n_failed" -eq 0 ]
