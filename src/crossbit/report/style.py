"""The look of the page: one style sheet, light and dark, that asks nobody for anything."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f4ef; --card: #fffdf9; --ink: #23202a; --soft: #6d6875; --line: #e5e0d6; --tile: #ffffff;
  --accent: #5b3fd6; --accent-soft: #ece7ff; --good: #1d8a5b; --good-soft: #def3e8; --odd: #e2562f; --off: #d9d3c7;
  --paper: #ffffff; --paper-good: #def3e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16141c; --card: #201d29; --ink: #ece8f4; --soft: #a29bb0; --line: #342f41; --tile: #2b2737;
    --accent: #a996ff; --accent-soft: #2e2750; --good: #5fd3a0; --good-soft: #183a2c; --odd: #ff8a66; --off: #453f55;
    --paper: #e6e2ef; --paper-good: #c5ecd8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.9rem, 4vw, 2.8rem); line-height: 1.1; margin: 0 0 .6rem; letter-spacing: -.02em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .25rem; letter-spacing: -.01em; }
p { max-width: 46rem; margin: .25rem 0 1rem; }
.lead { font-size: 1.1rem; color: var(--soft); }
.soft, figcaption, .legend { color: var(--soft); font-size: .875rem; }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; align-items: center; margin: .5rem 0 1.25rem; }
.legend span { display: inline-flex; align-items: center; gap: .45rem; }
.swatch { width: 1.1rem; height: 1.1rem; border-radius: .35rem; border: 2px solid var(--good);
  background: var(--good-soft); }
.question { background: var(--card); border: 1px solid var(--line); border-radius: 1.1rem; padding: 1.1rem 1.25rem;
  margin: 0 0 1rem; }
.question > header { display: flex; align-items: center; gap: .9rem; margin-bottom: .6rem; }
.question h3 { margin: 0; font-size: 1.25rem; line-height: 1.25; overflow-wrap: anywhere; }
.question header img { width: 84px; height: 84px; object-fit: contain; background: var(--paper); border-radius: .8rem;
  padding: 8px; border: 2px solid var(--line); flex: none; }
.answers { display: grid; gap: .5rem 2rem; }
.texts .answers { grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.answer { display: grid; grid-template-columns: 7.5rem 1fr; gap: 1rem; align-items: start; padding-top: .6rem;
  border-top: 1px solid var(--line); min-width: 0; }
.texts .answer { grid-template-columns: 1fr; gap: .5rem; align-content: start; }
.who { font-weight: 600; font-size: .9rem; display: flex; flex-direction: column; gap: .35rem; }
.texts .who { flex-direction: row; align-items: center; justify-content: space-between; }
.hits { display: grid; grid-template-columns: repeat(auto-fit, minmax(5.8rem, 1fr)); gap: .75rem; margin: 0;
  padding: 0;
  list-style: none; }
.texts .hits { grid-template-columns: 1fr; gap: .3rem; }
figure { margin: 0; min-width: 0; }
.picture { display: grid; place-items: center; aspect-ratio: 1; background: var(--paper); border: 2px solid var(--line);
  border-radius: .8rem; padding: 12%; }
.picture img { width: 100%; height: 100%; object-fit: contain; }
.relevant .picture { border-color: var(--good); background: var(--paper-good); }
figcaption { line-height: 1.25; margin-top: .35rem; font-size: .78rem; }
figcaption .name { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
  overflow-wrap: break-word; hyphens: auto; min-height: 2.5em; }
figcaption .measure { display: flex; align-items: center; justify-content: space-between; margin-top: .2rem; }
.distance { font-variant-numeric: tabular-nums; color: var(--soft); font-size: .78rem; white-space: nowrap; }
.line { display: grid; grid-template-columns: 1fr auto auto; gap: .8rem; align-items: center; padding: .3rem .65rem;
  border-radius: .55rem; border-left: 4px solid var(--line); background: var(--tile); font-size: .92rem; }
.line span:first-child { overflow-wrap: anywhere; }
.line.relevant { border-color: var(--good); background: var(--good-soft); }
svg.code { width: 1.75rem; height: 1.75rem; flex: none; border-radius: .2rem; }
.who svg.code { width: 3.2rem; height: 3.2rem; }
.texts .who svg.code { width: 2.4rem; height: 2.4rem; }
svg.code .ground { fill: var(--off); } svg.code .set { fill: var(--accent); } svg.code .differs { fill: var(--odd); }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 1.1rem;
  padding: .4rem 1.1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .55rem .6rem; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
td b { font-weight: 700; color: var(--accent); }
.role { color: var(--soft); font-size: .85rem; margin-left: .5rem; }
.bar { display: inline-block; width: 6rem; height: .5rem; border-radius: .5rem; background: var(--off);
  margin-right: .6rem;
  overflow: hidden; vertical-align: middle; }
.mean { display: inline-block; min-width: 3.2em; }
.bar i { display: block; height: 100%; background: var(--accent); border-radius: .5rem; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .35rem 1.4rem; font-size: .92rem;
  margin: .8rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media (max-width: 40rem) {
  .answer { grid-template-columns: 1fr; gap: .5rem; }
  .who { flex-direction: row; align-items: center; justify-content: space-between; }
  .who svg.code { width: 2.2rem; height: 2.2rem; }
  .question { padding: 1rem; }
  .hits { grid-template-columns: repeat(auto-fill, minmax(4rem, 1fr)); gap: .5rem; }
  .hits svg.code { width: 1.4rem; height: 1.4rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
"""
