#pragma once
// Private: the parts of a report's page that are the same in all: how it looks, and how its tables are sorted.

#include <string>
#include <string_view>

namespace sinter {

/// Text as a page shows it.
std::string html_escaped(std::string_view raw);

inline constexpr const char* kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1d1f23; --soft: #62666e; --line: #dfe1e4; --head: #eeefec;
  --a: #9aa7b8; --b: #c2571a; --alone: #2f6db3; --cell: 86%; --vivid: 62%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --card: #1d2024; --ink: #e6e7e9; --soft: #9aa0a8; --line: #33373d; --head: #262a2f;
    --a: #5d6b7e; --b: #f0935a; --alone: #74aef0; --cell: 24%; --vivid: 45%;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 16px; margin: 32px 0 8px; }
p { margin: 4px 0 12px; max-width: 100ch; }
.soft { color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0 0; padding: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; min-width: 170px; }
.card b { display: block; font-size: 21px; font-variant-numeric: tabular-nums; }
.finding { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--b); border-radius: 8px;
  padding: 10px 16px; margin: 0 0 10px; max-width: 110ch; }
.finding h3 { font-size: 14px; margin: 0 0 4px; }
.finding p { margin: 2px 0; overflow-wrap: anywhere; }
.lines { white-space: pre-line; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }
.key { display: inline-block; width: 18px; height: 10px; margin: 0 6px 0 14px; border-radius: 2px; }
.key.a { background: var(--a); } .key.b { background: var(--b); } .key.alone { background: var(--alone); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 0; }
th { background: var(--head); position: sticky; top: 0; font-weight: 600; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--alone); outline-offset: 2px; }
th[aria-sort] button::after { content: " \25B2"; font-size: 10px; }
th[aria-sort="descending"] button::after { content: " \25BC"; }
.left { text-align: left; }
tr:target td { background: var(--head); }
.level { background: hsl(var(--hue) var(--vivid) var(--cell)); }
.bar { display: inline-block; vertical-align: middle; width: 70px; height: 10px; margin-left: 8px; border-radius: 2px;
  background: var(--a); overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--alone); }
svg { display: block; }
.histogram { width: 170px; height: 34px; cursor: zoom-in; }
.histogram.large { position: fixed; right: 24px; bottom: 24px; z-index: 1; width: min(640px, 90vw); height: 300px;
  padding: 12px; background: var(--card); border: 1px solid var(--soft); border-radius: 8px; cursor: zoom-out; }
.histogram .a { fill: var(--a); opacity: .75; }
.histogram .b, .histogram .alone { fill: none; stroke: var(--b); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.histogram .alone { stroke: var(--alone); stroke-dasharray: 4 3; display: none; }
.histogram.large .alone { display: inline; }
.chart { width: 100%; min-width: 700px; }
.chart text { fill: var(--soft); font-size: 12px; }
.chart .grid { stroke: var(--line); } .chart .healthy { stroke: var(--soft); stroke-dasharray: 5 4; }
.chart polyline { fill: none; stroke-width: 2; }
.chart polyline.b { stroke: var(--b); } .chart polyline.alone { stroke: var(--alone); }
.chart circle.b { fill: var(--b); } .chart circle.alone { fill: var(--alone); }
)css";

inline constexpr const char* kScript = R"js(
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.querySelectorAll('th')];
  heads.forEach((head, column) => head.querySelector('button')?.addEventListener('click', () => {
    const direction = head.getAttribute('aria-sort') === 'ascending' ? 'descending' : 'ascending';
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', direction);
    const key = row => row.cells[column].dataset.sort;
    const order = (x, y) => isNaN(x) || isNaN(y) ? x.localeCompare(y) : Number(x) === Number(y) ? 0 : x - y;
    const rows = [...table.tBodies[0].rows];
    rows.sort((x, y) => (direction === 'ascending' ? 1 : -1) * order(key(x), key(y)));
    table.tBodies[0].append(...rows);
  }));
}
const histograms = document.querySelectorAll('.histogram');
for (const histogram of histograms)
  histogram.addEventListener('click', () => {
    for (const other of histograms) other.classList.toggle('large', other === histogram ? undefined : false);
  });
)js";

}  // namespace sinter
