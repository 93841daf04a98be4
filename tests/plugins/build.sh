# Builds the plug-ins of plugins/ and tests/plugins/ apart from truq, as their authors would.
# sh build.sh PROJECT TRUQ_DIR OUT COMPILER FLAGS
set -e
for source in "$1"/plugins/* "$1"/tests/plugins/broken; do
    [ -f "$source/CMakeLists.txt" ] || continue
    build=$3/build-$(basename "$source")
    cmake -S "$source" -B "$build" -G Ninja -Dtruq_DIR="$2" -DCMAKE_C_COMPILER="$4" -DCMAKE_C_FLAGS="$5" \
        -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$3" >"$3.log" || { cat "$3.log"; exit 1; }
    cmake --build "$build" >"$3.log" || { cat "$3.log"; exit 1; }
done
