#!/bin/sh
# Estimated cycles of MLPerf Tiny's int8 models on a Cortex-M4. Needs a C compiler, what `kiln bench` needs, and KILN_ZOO.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cc -Wall -Wextra -shared -fPIC -O2 -o "$build/cortex_m4.so" "$here/cortex_m4.c"
cd "$here/../.."
for model in kws_int8 vww_96_int8 ic_resnet8_int8 ad01_int8; do
    echo "mlperf__$model"
    cargo run --release --quiet -p kiln-cli --bin kiln -- bench "$KILN_ZOO/mlperf__$model/model.onnx" --target m4 \
        --cycles "$build/cortex_m4.so" | grep -E '^(instructions|cycles) '
done
