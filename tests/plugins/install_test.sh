# What `cmake --install` leaves is enough for others: a plug-in and a program are built with it, and the
# installed command loads the plug-in.
# sh install_test.sh PROJECT BUILD COMPILER FLAGS
set -e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$2" --prefix "$work/prefix" >"$work/log"
export truq_ROOT="$work/prefix"
for source in "$1/plugins/gradient" "$1/tests/plugins/host"; do
    cmake -S "$source" -B "$work/$(basename "$source")" -G Ninja -DCMAKE_C_COMPILER="$3" -DCMAKE_C_FLAGS="$4" >"$work/log" ||
        { cat "$work/log"; exit 1; }
    cmake --build "$work/$(basename "$source")" >"$work/log" || { cat "$work/log"; exit 1; }
done
grep -q "$1" "$work"/prefix/lib*/cmake/truq/truq-config.cmake "$work"/prefix/lib*/*/cmake/truq/truq-config.cmake 2>/dev/null &&
    { echo "FAILED: the installed configuration points into the source folder"; exit 1; }
"$work/prefix/bin/truq" list ops --plugin "$work/gradient/gradient.so" >"$work/ops"
grep "^OpenRelu " "$work/ops" | grep -q "gradient$" || { echo "FAILED: the plug-in's operator is not listed"; exit 1; }
[ "$("$work/host/host" "$work/gradient/gradient.so" OpenRelu)" = gradient ] || { echo "FAILED: the program"; exit 1; }
[ "$("$work/host/host" "$work/gradient/gradient.so" Relu)" = truq ] || { echo "FAILED: the program"; exit 1; }
