"""
The style of the report on a fleet.

It is Python because Salt sends nothing else from a file root to the master's own folder of runners.
"""

TEXT = r""":root {
  color-scheme: light dark;
  --page: #f5f6f8; --surface: #ffffff; --text: #1a2330; --soft: #566272; --rule: #dde2e9; --hover: #f0f3f7;
  --accent: #0a5c86; --head: #12303f; --code: #eef1f5;
  --good: #14603a; --good-bg: #ddf3e5; --good-fill: #2f9e62;
  --info: #1c4c94; --info-bg: #e1ecfb; --info-fill: #3f86d8;
  --warn: #7d4600; --warn-bg: #fcefd2; --warn-fill: #dd9a12;
  --bad: #9b1722; --bad-bg: #fce3e3; --bad-fill: #cf3f48;
  --debt: #6a3190; --debt-bg: #f1e6f8; --debt-fill: #9663bd;
  --dim: #465161; --dim-bg: #e6eaef; --dim-fill: #8d98a7;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #10151b; --surface: #19202a; --text: #e5eaf0; --soft: #a5b0be; --rule: #2e3844; --hover: #212a36;
    --accent: #7cc4ee; --head: #0b1a23; --code: #232d39;
    --good: #86e0ab; --good-bg: #15372a; --good-fill: #35a168;
    --info: #9cc6fb; --info-bg: #1a3050; --info-fill: #4a8fdc;
    --warn: #f5c76a; --warn-bg: #3d2f10; --warn-fill: #cf9427;
    --bad: #ff9d9d; --bad-bg: #45191d; --bad-fill: #d4555c;
    --debt: #d9b3f3; --debt-bg: #35224a; --debt-fill: #9a6bc0;
    --dim: #b9c3cf; --dim-bg: #2b3541; --dim-fill: #6f7c8c;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
.wide { max-width: 84rem; margin: 0 auto; padding: 0 1.5rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none !important; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--surface); color: var(--accent); z-index: 9; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
header { background: var(--head); color: #fff; padding: 1.6rem 0 0; }
header h1 { margin: 0 0 .3rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
.product { margin: 0 0 .6rem; font-weight: 700; letter-spacing: .02em; }
.product span { margin-left: .5rem; font-weight: 400; color: #b5cbd8; }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; margin: 0 0 1.1rem; color: #cfdde6; }
.facts b { color: #fff; font-weight: 600; }
nav { display: flex; flex-wrap: wrap; gap: 0 1.4rem; border-top: 1px solid #ffffff24; }
nav a { padding: .6rem 0; color: #dbe8ef; text-decoration: none; border-bottom: 2px solid transparent; }
nav a:hover, nav a:focus-visible { color: #fff; border-color: #7cc4ee; }
section { padding-top: 2rem; }
h2 { margin: 0 0 .3rem; font-size: 1.3rem; line-height: 1.3; letter-spacing: -.005em; }
h3 { margin: 1.4rem 0 .5rem; font-size: 1rem; }
.lead { margin: 0 0 .9rem; color: var(--soft); max-width: 62rem; }
.more, .empty, .note { color: var(--soft); }
.more { margin: .6rem 0 0; }
.empty { margin: .4rem 0 0; padding: .8rem 1rem; background: var(--surface); border: 1px solid var(--rule); border-radius: 6px; }
.figures, .cards, .legend, .line { list-style: none; margin: 0; padding: 0; }
.figures { display: grid; grid-template-columns: repeat(6, 1fr); background: var(--surface); border: 1px solid var(--rule); border-radius: 8px; }
.figures li { padding: 1rem 1.2rem; border-left: 1px solid var(--rule); }
.figures li:first-child { border-left: 0; }
.figures b { display: block; font-size: 1.9rem; line-height: 1.2; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures small { font-size: 1rem; font-weight: 400; color: var(--soft); }
.figures span { color: var(--soft); font-size: .87rem; line-height: 1.4; display: block; margin-top: .2rem; }
.share { display: block; width: 100%; height: 14px; margin: 1.1rem 0 .8rem; border-radius: 7px; background: var(--dim-bg); }
.fill.good { fill: var(--good-fill); } .fill.info { fill: var(--info-fill); } .fill.warn { fill: var(--warn-fill); }
.fill.bad { fill: var(--bad-fill); } .fill.debt { fill: var(--debt-fill); } .fill.dim { fill: var(--dim-fill); }
.share rect { stroke: var(--page); stroke-width: 1.5; }
.cards { display: grid; grid-template-columns: repeat(7, 1fr); gap: .7rem; }
.card { background: var(--surface); border: 1px solid var(--rule); border-top: 3px solid var(--dim-fill); border-radius: 6px; }
.card.good { border-top-color: var(--good-fill); } .card.info { border-top-color: var(--info-fill); }
.card.warn { border-top-color: var(--warn-fill); } .card.bad { border-top-color: var(--bad-fill); }
.card.debt { border-top-color: var(--debt-fill); }
.card a { display: block; height: 100%; padding: .7rem .9rem .8rem; color: inherit; text-decoration: none; border-radius: 6px; }
.card a:hover { background: var(--hover); }
.card b { display: block; font-size: 1.45rem; line-height: 1.2; font-weight: 650; font-variant-numeric: tabular-nums; }
.card strong { display: block; font-weight: 600; line-height: 1.3; }
.card span { display: block; margin-top: .2rem; font-size: .82rem; line-height: 1.35; color: var(--soft); }
.card.none { border-top-color: var(--rule); } .card.none b { color: var(--soft); font-weight: 400; }
.box { max-height: 46rem; overflow: auto; contain: content; background: var(--surface); border: 1px solid var(--rule); border-radius: 8px; }
table { width: 100%; border-collapse: separate; border-spacing: 0; font-size: .92rem; }
th, td { padding: .55rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
tbody tr:last-child > * { border-bottom: 0; }
thead th { vertical-align: bottom; position: sticky; top: 0; z-index: 2; background: var(--surface); color: var(--soft); font-size: .82rem; font-weight: 600; white-space: nowrap; box-shadow: 0 1px 0 var(--rule); }
tbody tr:hover { background: var(--hover); }
.name { font-weight: 600; overflow-wrap: anywhere; min-width: 10rem; }
th small, td small { display: block; font-weight: 400; font-size: .82rem; color: var(--soft); }
.why { overflow-wrap: anywhere; min-width: 14rem; }
.why ul { margin: 0; padding-left: 1.1rem; }
.badge { display: inline-block; padding: .1rem .55rem; border-radius: 99px; font-size: .8rem; font-weight: 600; line-height: 1.5; white-space: nowrap; background: var(--dim-bg); color: var(--dim); }
.badge.good { background: var(--good-bg); color: var(--good); } .badge.info { background: var(--info-bg); color: var(--info); }
.badge.warn { background: var(--warn-bg); color: var(--warn); } .badge.bad { background: var(--bad-bg); color: var(--bad); }
.badge.debt { background: var(--debt-bg); color: var(--debt); }
code { font: .88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.run { min-width: 23rem; }
#host-table .run { min-width: 0; margin-top: .25rem; }
.run code + button { vertical-align: top; }
.run code, .note code { padding: .15rem .4rem; border-radius: 4px; background: var(--code); }
.run em { color: var(--soft); font-size: .88rem; }
button { font: inherit; font-size: .85rem; padding: .3rem .8rem; color: var(--accent); background: var(--surface); border: 1px solid var(--rule); border-radius: 5px; cursor: pointer; }
button:hover { background: var(--hover); border-color: var(--accent); }
button.copy { margin-left: .5rem; padding: 0 .5rem; font-size: .78rem; line-height: 1.7; }
#host-more, #matrix-more { margin-top: .7rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: 0 0 .8rem; font-size: .87rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .45rem; }
.key { width: 26px; height: 12px; }
.line { background: var(--surface); border: 1px solid var(--rule); border-radius: 8px; padding: .3rem 1rem .6rem; }
.lane { display: grid; grid-template-columns: 17.5rem 1fr 14rem; gap: 1.1rem; align-items: center; }
.lane + .lane { border-top: 1px solid var(--rule); }
.lane .label code { font-size: .85rem; color: var(--text); }
.lane .label small, .said small { display: block; font-size: .8rem; color: var(--soft); line-height: 1.3; }
.label { padding: .4rem 0; line-height: 1.3; }
.bar { display: block; width: 100%; height: 2.9rem; overflow: visible; }
.axis .bar { height: 40px; }
.span.open { fill: var(--good-fill); } .span.expired { fill: var(--bad-fill); }
.span.estimate { fill: var(--dim-bg); stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 3; }
.tick { fill: var(--soft); font-size: 11.5px; text-anchor: middle; }
.tick.nobody { text-anchor: start; dominant-baseline: middle; font-style: italic; }
.grid { stroke: var(--rule); }
line.now { stroke: var(--accent); stroke-width: 2; }
text.now { fill: var(--accent); font-size: 12px; font-weight: 600; text-anchor: middle; }
.said { font-size: .88rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.said.expired { color: var(--bad); font-weight: 600; } .said.unknown { color: var(--soft); }
.week { white-space: nowrap; }
.load { min-width: 9rem; white-space: nowrap; }
.load b { display: inline-block; min-width: 2.2rem; font-variant-numeric: tabular-nums; }
.load svg { width: 5.5rem; height: 9px; }
.tag { display: inline-block; margin: .1rem .2rem .1rem 0; padding: .05rem .5rem; border: 1px solid var(--rule); border-radius: 4px; font-size: .85rem; background: var(--surface); overflow-wrap: anywhere; }
.tag small { color: var(--soft); }
.names { margin: 0; }
.late { color: var(--bad); font-weight: 600; }
.note { margin-top: .2rem; font-size: .87rem; }
.filters { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin: 0 0 .8rem; }
.filters label { display: grid; gap: .15rem; font-size: .82rem; color: var(--soft); }
.filters .grow { flex: 1 1 18rem; max-width: 30rem; }
input, select { font: inherit; color: var(--text); background: var(--surface); border: 1px solid #7f8b9a; border-radius: 5px; padding: .35rem .6rem; min-height: 2.2rem; width: 100%; min-width: 9rem; }
input::placeholder { color: var(--soft); opacity: 1; }
output { font-size: .87rem; color: var(--soft); padding: .45rem 0; }
.numbers td:nth-child(n+3), .numbers th[scope=col]:nth-child(n+3) { text-align: right; font-variant-numeric: tabular-nums; }
.numbers th, .numbers td { padding-top: .35rem; padding-bottom: .35rem; }
.numbers th[scope=row] { font-weight: 600; white-space: nowrap; font-variant-numeric: tabular-nums; }
.zero { color: var(--soft); }
.severity { font-weight: 600; color: var(--soft); } .severity.critical { color: var(--bad); } .severity.important { color: var(--warn); }
.mark { display: inline-block; min-width: 1.5rem; padding: 0 .3rem; border-radius: 3px; text-align: center; font-weight: 700; font-size: .82rem; line-height: 1.5rem; }
.mark.absent, .mark.untold { border: 1px solid var(--rule); }
.fixed_live { background: var(--good-bg); color: var(--good); } .pending { background: var(--info-bg); color: var(--info); }
.mark.reboot, .matrix .reboot { background: var(--debt-bg); color: var(--debt); }
.mark.unknown, .matrix .unknown { background: var(--warn-bg); color: var(--warn); }
.matrix { width: auto; border-collapse: separate; border-spacing: 2px; font-size: .82rem; }
.matrix th, .matrix td { padding: 0; border: 0; }
.matrix tbody th { vertical-align: middle; }
.matrix thead th { vertical-align: bottom; text-align: center; box-shadow: none; }
.matrix thead th span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 11rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding: .3rem 0; color: var(--text); }
.matrix thead th:first-child, .matrix tbody th { position: sticky; left: 0; z-index: 1; background: var(--surface); text-align: left; white-space: nowrap; padding: 0 .8rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.matrix thead th:first-child { z-index: 3; padding-bottom: .3rem; }
.matrix tbody th small { display: inline; margin-left: .2rem; }
.matrix td { min-width: 1.7rem; height: 1.55rem; text-align: center; vertical-align: middle; border-radius: 3px; font-weight: 700; }
.matrix td.absent, .matrix td.untold { color: var(--soft); font-weight: 400; }
#host-table td { font-size: .88rem; }
#host-table code { font-size: .8rem; }
#host-table .counts .mark { margin: 0 .15rem .15rem 0; }
#host-table .short { white-space: nowrap; }
#host-table td:nth-child(3) { min-width: 15.5rem; }
#host-table .why { min-width: 22rem; }
#host-table .badge { margin-top: .25rem; }
footer { margin-top: 2.5rem; padding-bottom: 2rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 70rem) {
  .cards { grid-template-columns: repeat(4, 1fr); }
  .figures { grid-template-columns: repeat(3, 1fr); }
  .figures li:nth-child(4) { border-left: 0; } .figures li:nth-child(n+4) { border-top: 1px solid var(--rule); }
  .lane { grid-template-columns: 14rem 1fr 10rem; }
  .minor { display: none; }
}
@media (max-width: 46rem) {
  .wide { padding: 0 1rem; }
  header { padding-top: 1.1rem; }
  header h1 { font-size: 1.5rem; }
  nav { gap: 0 1.1rem; }
  .cards, .figures { grid-template-columns: 1fr 1fr; }
  .figures li { padding: .8rem .9rem; }
  .figures li:nth-child(n) { border-left: 0; border-top: 1px solid var(--rule); }
  .figures li:first-child { grid-column: 1 / -1; border-top: 0; }
  .figures li:nth-child(odd) { border-left: 1px solid var(--rule); } .figures li:first-child { border-left: 0; }
  .line { padding: .3rem .8rem .6rem; }
  .lane { grid-template-columns: 1fr; gap: .1rem; padding-bottom: .5rem; }
  .lane .bar { height: 1.6rem; } .axis .bar { height: 40px; }
  .axis > span { display: none; } .axis { padding-bottom: 0; }
  .box { max-height: 40rem; }
  .stack, .stack tbody, .stack tr, .stack td, .stack tbody th { display: block; width: 100%; min-width: 0; }
  .stack thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .stack tr { padding: .6rem .9rem; border-bottom: 1px solid var(--rule); }
  .stack tbody tr:last-child { border-bottom: 0; }
  .stack td, .stack tbody th { padding: .12rem 0; border: 0; }
  .stack td:empty { display: none; }
  #host-table td:nth-child(n) { min-width: 0; }
  .run code { display: inline-block; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
  .stack td[data-label] code, .stack td[data-label] small { display: inline; }
  .stack td[data-label] small::before { content: ", "; }
  .stack td[data-label] br { display: none; }
  .long { display: none; }
  .numbers { font-size: .84rem; }
  .numbers th, .numbers td { padding-left: .4rem; padding-right: .4rem; }
  .numbers th:first-child { padding-left: .8rem; } .numbers td:last-child, .numbers th:last-child { padding-right: .8rem; }
  nav a { padding: .35rem 0; } nav { padding: .3rem 0; }
  .filters label { flex: 1 1 40%; }
  output { flex: 1 1 100%; padding: 0; }
}
@media print {
  :root { --page: #fff; --hover: #fff; }
  html, body { font-size: 10px; }
  .wide { padding: 0; }
  header { background: none; color: #000; padding: 0; }
  header .facts, header .facts b, .product span { color: #000; }
  nav, .filters, button, .skip, #hosts { display: none !important; }
  section { padding-top: 1.4rem; }
  .figures { grid-template-columns: repeat(6, 1fr); }
  .figures li:nth-child(n) { border-top: 0; border-left: 1px solid var(--rule); } .figures li:first-child { border-left: 0; }
  .cards { grid-template-columns: repeat(7, 1fr); }
  .lane { grid-template-columns: 20rem 1fr 18rem; }
  .lead { max-width: none; }
  .box { max-height: none; overflow: visible; contain: none; border-radius: 0; }
  .why, .run { min-width: 0; }
  .run { width: 24rem; }
  th, td { padding: .4rem .7rem; }
  thead th { position: static; }
  .matrix { border-spacing: 1px; } .matrix td { min-width: 1.2rem; }
  .tick { font-size: 9px; } text.now { font-size: 10px; }
  tr, .lane, .card, .figures li { break-inside: avoid; }
  h2, h3, .lead { break-after: avoid; }
  .card, .figures, .line, .badge, .mark, .matrix td, rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
"""  # noqa: E501
