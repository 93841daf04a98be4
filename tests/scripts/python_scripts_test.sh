#!/bin/sh
# Scripts that need Python packages say which one is missing, and do not fail for it.
# usage: python_scripts_test.sh <project folder>
set -u
project=$1
command -v python3 >/dev/null || exit 77
n_failed=0

# expect <script> <status> <its line>: without any installed package
expect() {
    said=$(python3 -I -S "$project/scripts/$1" 2>&1) && status=0 || status=$?
    case "$status $said" in
    "$2 $1: skipped, "*"$3"*) echo "ok $1 names the missing package" ;;
    *)
        echo "not ok $1: got '$said' ($status)"
        n_failed=$((n_failed + 1))
        ;;
    esac
}

expect torch_models 77 'is not installed'
expect onnx_node_tests 0 "'onnx' is not installed"
[ $n_failed -eq 0 ]
