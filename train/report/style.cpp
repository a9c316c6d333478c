#include "train/report/style.h"

namespace winnow {

// Text colours have a contrast of at least 4.5 to their backgrounds in both schemes, series colours of at least 3.
const char* const kReportStyle = R"css(
:root{--bg:#f6f7f8;--card:#fff;--text:#1c2126;--muted:#56606b;--line:#dfe3e7;--grid:#e9ecef;--warn-bg:#fff4e0;--warn:#7a4a00;
--bad:#a3262a;--good:#1d6b3f;--s1:#1f6fb2;--s2:#c0560c;--s3:#2b7d4f;--s4:#7a4fa3;--s5:#68727d;--s6:#b0336f}
@media (prefers-color-scheme:dark){:root{--bg:#121518;--card:#1b1f23;--text:#e7eaed;--muted:#a6b0ba;--line:#353c43;
--grid:#2a3037;--warn-bg:#3a2c12;--warn:#f5c778;--bad:#f28b8e;--good:#7fd3a0;--s1:#6cb2f0;--s2:#f39a5b;--s3:#74c795;
--s4:#bda0e8;--s5:#a3adb7;--s6:#ee8fbd}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1180px;padding:16px 12px 48px;background:var(--bg);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2;margin:.2em 0}
h2{font-size:1.15rem;margin:2.2em 0 .7em;padding-top:.6em;border-top:1px solid var(--line)}
h3,figcaption strong{font-size:.95rem;font-weight:600}
h3{margin:1.4em 0 .4em}
p{margin:.4em 0 .8em;max-width:75ch}
.lead,.note,figcaption span,.tile small,.caption{color:var(--muted)}
.note{font-size:.87rem}
nav{display:flex;flex-wrap:wrap;gap:2px 14px;margin:12px 0 4px;font-size:.9rem}
a{color:var(--s1)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:12px;align-items:start}
figure,.tile,.card{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;min-width:0}
.card{margin-bottom:12px}
.card>:first-child{margin-top:0}
figcaption strong{display:block}
figcaption span{display:block;font-size:.83rem;line-height:1.4;margin:2px 0 6px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,210px),1fr));gap:12px;margin:14px 0}
.tile b{display:block;font-size:1.7rem;line-height:1.25;font-variant-numeric:tabular-nums}
.tile span{font-size:.87rem;font-weight:600}
.tile small{display:block;font-size:.83rem;line-height:1.45}
.tile .better{color:var(--good)}.tile .worse{color:var(--bad)}
.warn{background:var(--warn-bg);color:var(--warn);border:1px solid currentColor;border-radius:8px;padding:10px 12px;margin:12px 0}
.warn p,.warn ul{margin:.2em 0}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;list-style:none;margin:0 0 4px;padding:0;font-size:.83rem}
.legend svg{width:22px;height:10px;margin-right:5px;vertical-align:baseline}
svg{display:block;width:100%;height:auto;overflow:visible}
.legend svg{display:inline}
svg text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--muted);font-variant-numeric:tabular-nums}
svg text.strong{fill:var(--text)}
.axis{stroke:var(--muted);stroke-width:1;fill:none}.rule{stroke:var(--grid);stroke-width:1}
.reference{stroke:var(--muted);stroke-width:1;stroke-dasharray:3 3;fill:none}
.c1{--c:var(--s1)}.c2{--c:var(--s2)}.c3{--c:var(--s3)}.c4{--c:var(--s4)}.c5{--c:var(--s5)}.c6{--c:var(--s6)}
.stroke{stroke:var(--c);stroke-width:2;fill:none;stroke-linejoin:round;stroke-linecap:round}
.fill{fill:var(--c)}.area{fill:var(--c);fill-opacity:.2}.bar{fill:var(--c);fill-opacity:.55}.whisker{stroke:var(--text);stroke-width:1.4}
.hit,.row{fill:transparent}.hit:hover{fill:var(--c);fill-opacity:.7}
.dash2{stroke-dasharray:6 3}.dash3{stroke-dasharray:2 3}.dash4{stroke-dasharray:8 3 2 3}
.scroll{overflow-x:auto;max-width:100%;margin:0 0 8px}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.caption{font-size:.83rem;margin:1.1em 0 2px}
th,td{padding:4px 10px 4px 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--line);font-weight:400;white-space:nowrap}
thead th{font-weight:600;border-bottom:1px solid var(--muted)}
.text{text-align:left;white-space:normal;min-width:5em;max-width:24em;overflow-wrap:break-word}
td small,th small{display:block;color:var(--muted);font-size:.78rem}
.best{font-weight:700}
details{margin:6px 0}
summary{cursor:pointer;font-size:.87rem;color:var(--s1)}
pre{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px;font-size:.83rem;line-height:1.45}
pre.wrap{white-space:pre-wrap}
.matrix td,.matrix th{padding:8px;border:1px solid var(--line);white-space:normal;text-align:center}
.matrix td{text-align:center;font-size:1rem;background:color-mix(in srgb,var(--s1) calc(var(--share)*40%),var(--card))}
footer{margin-top:3em;border-top:1px solid var(--line);padding-top:8px}
@media print{body{max-width:none;background:#fff}figure,.tile,.card{break-inside:avoid}nav{display:none}}
)css";

}  // namespace winnow
