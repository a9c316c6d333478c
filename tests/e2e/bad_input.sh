#!/usr/bin/env bash
# Bad input: one clear message, exit code 1 or 2, nothing half-written. Usage: bad_input.sh BUILD_DIR
set -uo pipefail
build=$(realpath "$1") root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/winnow" data generate --out store --users 100 --items 50 --impressions 2000 >/dev/null
sed 's#data_cache/synthetic#store#' "$root/examples/ctr/synthetic.yaml" > config.yaml
failures=0

# expect CODE TEXT COMMAND...: the exit code, and a text that stderr must contain on one of at most 3 lines.
expect() {
  local code=$1 text=$2
  shift 2
  "$@" >out 2>err
  local got=$?
  if [[ $got -ne $code ]] || ! grep -qF -- "$text" err; then
    echo "FAILED: $* -> exit $got (want $code), stderr should contain: $text"
    tail -3 err
    failures=$((failures + 1))
  fi
}
train() { "$build/winnow" train ctr --config config.yaml --epochs 1 --set evaluation.resamples=0 --set evaluation.ranking=false "$@"; }

expect 1 'missing.csv' train --out r1 --set data.interactions.file=../missing.csv
expect 1 "unknown key 'train.epoch'; did you mean 'train.epochs'?" train --out r2 --set train.epoch=3
expect 2 '--config' "$build/winnow" train ctr --out r3
expect 2 '' "$build/winnow" tran ctr
expect 1 'absent.yaml' "$build/winnow" train ctr --config absent.yaml --out r4
expect 1 "model.name" train --out r5 --model DeepFN
sed '1s/clicked/klicked/' store/impressions.csv > wrong_column.csv
expect 1 "clicked" train --out r6 --set data.interactions.file=../wrong_column.csv
{ head -5 store/impressions.csv; echo '"u1,i1,1,phone,1'; } > broken_quote.csv
expect 1 'broken_quote.csv:6' train --out r7 --set data.interactions.file=../broken_quote.csv
{ head -5 store/impressions.csv; echo 'u1,i1,1'; } > ragged.csv
expect 1 'ragged.csv:6' train --out r8 --set data.interactions.file=../ragged.csv
{ head -500 store/impressions.csv; sed -n 501p store/impressions.csv | awk -F, -v OFS=, '{$11="nan"}1'; } > nan_label.csv
expect 1 'nan_label.csv:501' train --out r9 --set data.interactions.file=../nan_label.csv
head -3 store/impressions.csv > tiny.csv
expect 1 'split' train --out r10 --set data.interactions.file=../tiny.csv
expect 1 'cuda' train --out r11 --device cuda
sed 's#^  features:#  clean: [{step: rule, column: device, rule: like phone}]\n  features:#' config.yaml > bad_clean.yaml
expect 1 'data.clean[0].rule' "$build/winnow" data clean --config bad_clean.yaml
expect 2 'file or --config' "$build/winnow" data describe
expect 1 'absent.csv' "$build/winnow" data describe absent.csv
sed 's#^  features:#  leak_check: error\n  features:\n    - {name: clicked, source: context}#' config.yaml > leak.yaml
expect 1 "tells_label: 'clicked'" "$build/winnow" train ctr --config leak.yaml --out r12
train --out good >/dev/null 2>&1 || { echo "FAILED: a good run failed"; failures=$((failures + 1)); }
expect 1 "there is no user 'nobody'" "$build/winnow" recommend --run good --user nobody
cp -r good cut
truncate -s -100 cut/model.safetensors
expect 1 'model.safetensors' "$build/winnow" evaluate --run cut
cp -r good flipped
printf '\xff' | dd of=flipped/model.safetensors bs=1 seek=$(($(stat -c %s flipped/model.safetensors) - 9)) conv=notrunc status=none
expect 1 'model.safetensors' "$build/winnow" evaluate --run flipped
cp -r good cut2
for f in cut2/checkpoints/*; do truncate -s 1000 "$f"; done
expect 1 'checkpoint' train --out cut2 --resume
expect 1 '--resume' train --out good
# a full disk: a file system of 64 KiB where one can be mounted, else a limit on the size of files
( ulimit -f 8; trap '' XFSZ; train --out full >out 2>err; echo $? >code )
if [[ $(cat code) -ne 1 ]] || [[ -n $(find full -name '*.winnow-tmp' 2>/dev/null) ]] || [[ -f full/model.safetensors ]]; then
  echo "FAILED: a full disk: exit $(cat code)"; tail -3 err; failures=$((failures + 1))
fi
for r in r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12; do
  [[ ! -e $r/model.safetensors ]] || { echo "FAILED: $r was half-written"; failures=$((failures + 1)); }
done
[[ $failures -eq 0 ]] && echo "bad input: every case gave its message"
exit $((failures > 0))
