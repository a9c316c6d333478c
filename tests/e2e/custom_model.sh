#!/usr/bin/env bash
# Installs Winnow, builds examples/custom_model outside the tree against the installation, tests its operator, trains its
# model by the library and by every command. Usage: custom_model.sh BUILD_DIR
set -euo pipefail
build=$(realpath "$1") root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

cmake --install "$build" --prefix "$work/installed" >"$work/log" || { cat "$work/log"; fail "install"; }
mv "$work/installed" "$work/winnow"   # the package must not know where it was installed to
for path in "$root" "$build" "$work/installed"; do
  if grep -rlF -- "$path" "$work/winnow"; then fail "installed files name $path"; fi
done
grep -rn '/usr/' "$work/winnow/lib"*/cmake && fail "the package names files of this machine"
for unwanted in train/commands.h models/models.h ops/detail core/detail; do
  [[ ! -e $work/winnow/include/winnow/$unwanted ]] || fail "$unwanted was installed"
done

cp -r "$root/examples/custom_model" "$work/source"
cd "$work"
lines=$(cat source/*.cpp source/*.h | grep -cv '^ *\(//.*\)\?$')  # without blank lines and comments
[[ $lines -lt 200 ]] || fail "the example has $lines lines"
(cd winnow/include/winnow && find . -name '*.h' | sort | sed 's#^\./\(.*\)#\#include "\1"#') > source/headers.cpp
echo 'add_library(headers OBJECT headers.cpp)
target_link_libraries(headers PRIVATE winnow::winnow)' >> source/CMakeLists.txt
cmake -S source -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/winnow" >log || { cat log; fail "configure"; }
cmake --build build -j 2 >log || { cat log; fail "build"; }
echo "built against the installation: $lines lines"

build/field_pairs_test >log || { cat log; fail "the operator's tests"; }
[[ $(grep -c ' ok$' log) -ge 9 && $(grep -c '^grad  *1 operators' log) -eq 1 ]] || { cat log; fail "modes are missing"; }
grep '^grad' log
# a gradient that is wrong must be found
sed 's/dy\[b\] \* r\[p\] \* e\[j \* dim + k\]/dy[b] * r[p] * e[i * dim + k]/' -i source/field_pairs.cpp
cmake --build build -j 2 --target field_pairs_test >log || { cat log; fail "build"; }
build/field_pairs_test grad >log && fail "a wrong gradient passed"
grep -q 'central differences' log || { cat log; fail "the wrong gradient was not compared"; }
echo "a wrong gradient is found"

winnow/bin/winnow data generate --out store --users 300 --items 120 --impressions 12000 >/dev/null
sed 's#data_cache/synthetic#store#; s/epochs: 30/epochs: 3/; s/batch_size: 1024/batch_size: 256/' \
  "$root/examples/ctr/synthetic.yaml" > config.yaml
cp "$root/examples/custom_model/field_pairs.cpp" source/
cmake --build build -j 2 >log || { cat log; fail "build"; }
build/custom_model config.yaml run >out 2>log || { cat log; fail "training"; }
grep -q '^FwFM ' out && grep -q '^clicks where likely: 0\.' out && [[ -s run/model.safetensors ]] || { cat out; fail "no evaluation"; }
grep -m 1 '^FwFM ' out
build/custom_model evaluate --run run --json --set evaluation.resamples=0 >again.json || fail "evaluate"
build/custom_model recommend --run run --k 3 >list && grep -q '^recommended' list || fail "recommend"
winnow/bin/winnow evaluate --run run >/dev/null 2>log && fail "winnow itself has no FwFM"
grep -q "model.name" log || { cat log; fail "the message does not name the model"; }
echo 'model.pair_init_std: {log_uniform: [1e-2, 10]}' > space.yaml
build/custom_model tune --config config.yaml --set model.name=FwFM --space space.yaml --trials 3 --out study >out 2>log ||
  { cat log; fail "tune"; }
grep -q 'pair_init_std' out || { cat out; fail "no table"; }
echo "trained, evaluated, recommended and tuned"
