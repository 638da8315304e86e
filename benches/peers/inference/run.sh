#!/bin/sh
# Makes the networks, builds everybody, and prints one table.
#   ./run.sh [ROUNDS]
# RTNEURAL=DIR, a clone of github.com/jatinchowdhury18/RTNeural with its submodules, adds RTNeural's three backends (needs g++).
# Needs python3 with venv; onnxruntime, onnx and safetensors come from PyPI.
set -eu
cd "$(dirname "$0")"
rounds=${1:-60}
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/inference-peers
export CARGO_TARGET_DIR="$target"
mkdir -p "$work"
if [ ! -x "$work/venv/bin/python" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install -q onnxruntime==1.31.1 onnx==1.23.2 safetensors==0.8.0 numpy
fi
"$work/venv/bin/python" make_models.py "$work/models"
onnxruntime=$(find "$work/venv" -name 'libonnxruntime.so.*' | head -n 1)
set --
if [ -n "${RTNEURAL:-}" ]; then
    for backend in EIGEN XSIMD STL; do
        library=$work/rtneural_$backend.so
        # Networks live on the heap, so Eigen's limit for the stack does not apply.
        [ "$library" -nt rtneural.cpp ] || g++ -std=c++17 -O3 -march=native -DNDEBUG -fPIC -shared -w \
            "-DRTNEURAL_USE_$backend=1" -DRTNEURAL_DEFAULT_ALIGNMENT=32 -DRTNEURAL_NAMESPACE=RTNeural \
            -DEIGEN_STACK_ALLOCATION_LIMIT=0 -I"$RTNEURAL" -I"$RTNEURAL/modules/Eigen" -I"$RTNEURAL/modules/json" \
            -I"$RTNEURAL/modules/xsimd/include" -I"$RTNEURAL/modules/xsimd/include/xsimd" rtneural.cpp -o "$library"
        set -- "$@" "$library"
    done
fi
cargo build --release --locked
"$target/release/sinew-inference-peers" "$work/models" "$onnxruntime" "$rounds" "$@"
