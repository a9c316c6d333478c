#!/usr/bin/env bash
# The report of a real run in a real browser: it loads, has its sections, runs no script, asks for nothing outside
# itself, and no part of the page is wider than a phone of 360 px. Usage: report.sh BUILD_DIR
set -euo pipefail
build=$(realpath "$1") root=$PWD
browser=$(command -v chromium || command -v chromium-browser || true)
[[ -n $browser ]] || { echo "FAILED: no chromium; install it with scripts/install_packages.sh --tests"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$build/winnow" data generate --out store --users 200 --items 80 >/dev/null
# a feature whose name is markup, from the config to the page
sed 's#data_cache/synthetic#store#; s#{name: device, source: context}#{name: "<script>x()</script>", column: device, source: context}#' \
  "$root/examples/ctr/synthetic.yaml" > config.yaml
"$build/winnow" train ctr --config config.yaml --epochs 3 --quiet --out run --set evaluation.resamples=200 >/dev/null
[[ -s run/report.html ]] || { echo "FAILED: training wrote no report.html"; exit 1; }
cp run/report.html first.html
"$build/winnow" report run >/dev/null
cmp first.html run/report.html || { echo "FAILED: winnow report differs from the page of the training"; exit 1; }
grep -qF '&lt;script&gt;x()&lt;/script&gt;' run/report.html || { echo "FAILED: the feature's name is not in the page"; exit 1; }

# dump WIDTH HTML: the page after its scripts ran
dump() {
  timeout 600 "$browser" --headless --no-sandbox --hide-scrollbars --disable-gpu --disable-dev-shm-usage --user-data-dir="$work/profile" \
    --host-resolver-rules='MAP * ~NOTFOUND' --allow-file-access-from-files --window-size="$1",2000 --virtual-time-budget=5000 --dump-dom "file://$work/$2" 2>browser.log \
    || { tail -5 browser.log; echo "FAILED: $browser ended with an error"; exit 1; }
}
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# The page in a frame of 360 px (a window cannot be made that narrow), asked by a script of the page around it. The
# report itself forbids scripts, so the copy that is measured has its policy taken out.
sed 's#<meta http-equiv="Content-Security-Policy"[^>]*>##' run/report.html > open.html
for width in 360 390 1280; do
  cat > frame.html <<HTML
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe src="open.html" style="width:${width}px;height:1000px;border:0"></iframe>
<pre id="measured"></pre><script>
addEventListener("load", () => {
  const d = document.querySelector("iframe").contentDocument, out = [];
  out.push("scroll width " + d.documentElement.scrollWidth);
  out.push("scripts " + d.scripts.length);
  out.push("sections " + [...d.querySelectorAll("section")].map(s => s.id).join(","));
  out.push("charts " + d.querySelectorAll("figure svg[role=img][aria-label]").length);
  out.push("empty charts " + [...d.querySelectorAll("figure > svg")].filter(s => s.getBBox().width < 100).length);
  const wide = [...d.querySelectorAll("body *")].filter(e => !e.closest(".scroll,pre,svg") && e.getBoundingClientRect().right > ${width} + 0.5);
  out.push("too wide " + wide.length + " " + wide.slice(0, 3).map(e => e.outerHTML.slice(0, 80)).join(" "));
  document.getElementById("measured").textContent = out.join("\n");
});
</script>
HTML
  dump 1400 frame.html > dom.html
  sed -n '/<pre id="measured">/,/<\/pre>/p' dom.html | sed 's/<[^>]*>//g' > measured
  grep -q "^scroll width $width$" measured || fail "at $width px: $(grep 'scroll width' measured || echo not measured)"
  grep -q '^scripts 0$' measured || fail "at $width px: $(grep scripts measured)"
  grep -q '^too wide 0' measured || fail "at $width px: $(grep 'too wide' measured)"
  grep -q '^empty charts 0$' measured || fail "at $width px: $(grep 'empty charts' measured)"
done
for section in evaluation ranking training memory reproduce; do
  grep -q "^sections.*$section" measured || fail "no section $section"
done
charts=$(sed -n 's/^charts //p' measured)
((charts >= 10)) || fail "only $charts charts"

# the page itself, with its policy: nothing was refused and nothing failed to load
dump 390 run/report.html > dom.html
grep -q '</html>' dom.html || fail "the page did not load"
if grep -iE 'Content Security Policy|Uncaught|ERR_' browser.log; then fail "the browser complained"; fi
[[ $failures -eq 0 ]] && echo "report: $(sed -n 's/^sections //p' measured), $charts charts, no overflow at 360, 390 and 1280 px"
exit $((failures > 0))
