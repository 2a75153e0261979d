/** How `/docs` looks, and the one thing it does. Both are allowed by their hash, so neither may be changed on its way. */

/** The style of the page, light or dark as the reader's system is. */
export const style = `
:root {
  --paper: #ffffff; --ink: #1d2129; --soft: #5b6472; --line: #dfe3e9; --wash: #f5f7fa; --link: #1a56c4;
  --get: #0b6b3a; --post: #8a4b00; --good: #0b6b3a; --moved: #4a5565; --wrong: #9a3412; --broken: #a1122a;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --ink: #e4e8ee; --soft: #9aa5b4; --line: #2c333d; --wash: #1c2129; --link: #8ab4ff;
    --get: #5fd494; --post: #f0b35e; --good: #5fd494; --moved: #a9b4c2; --wrong: #f5a97a; --broken: #ff8b9b;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: .5rem; }
header { padding: 1.25rem 2rem .5rem; border-bottom: 1px solid var(--line); }
header h1 { margin: 0; font-size: 1.5rem; }
header small { color: var(--soft); font-weight: 400; font-size: .9rem; }
header p { margin: .1rem 0 .5rem; color: var(--soft); }
.columns { display: grid; grid-template-columns: minmax(15rem, 21rem) minmax(0, 1fr); }
nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 1rem 1rem 2rem 2rem;
  border-right: 1px solid var(--line); font-size: .875rem; }
nav h2 { margin: 1.1rem 0 .2rem; font-size: .75rem; text-transform: uppercase; letter-spacing: .06em; }
nav h2, nav h2 a { color: var(--soft); }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li { padding: .15rem 0; }
nav li a { display: flex; gap: .45rem; align-items: baseline; }
#search { display: block; color: var(--soft); }
#search[hidden] { display: none; }
#filter { width: 100%; margin-top: .2rem; padding: .35rem .5rem; font: inherit; color: inherit; background: var(--wash);
  border: 1px solid var(--line); border-radius: 6px; }
main { padding: 1rem 2rem 6rem; max-width: 66rem; }
.chapter > h2 { margin: 2.5rem 0 .2rem; padding-top: 1.2rem; border-top: 1px solid var(--line); font-size: 1.35rem; }
article { margin: 1.2rem 0 2rem; padding: .3rem 1.25rem 1rem; border: 1px solid var(--line); border-radius: 10px; }
article:target { border-color: var(--link); }
article h3 { margin: .6rem 0 .2rem; font-size: 1.05rem; }
article h3 a { color: inherit; }
article h4 { margin: 1.1rem 0 .3rem; font-size: .8rem; text-transform: uppercase; letter-spacing: .05em; color: var(--soft); }
.summary { margin: 0; color: var(--soft); }
.path, code, .method { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.path { overflow-wrap: anywhere; }
code { font-size: .875em; padding: .08em .3em; background: var(--wash); border-radius: 4px; overflow-wrap: anywhere; }
.method { font-size: .7rem; font-weight: 700; color: var(--get); }
.method.post { color: var(--post); }
article .method { padding: .12rem .4rem; border: 1px solid currentcolor; border-radius: 5px; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { width: 10rem; min-width: 7rem; }
small, .headers, .shared { color: var(--soft); font-size: .85em; }
.status { font-variant-numeric: tabular-nums; color: var(--moved); }
.s2 { color: var(--good); } .s4 { color: var(--wrong); } .s5 { color: var(--broken); }
@media (max-width: 52rem) {
  .columns { display: block; }
  nav { position: static; max-height: none; border-right: 0; border-bottom: 1px solid var(--line); padding: 1rem; }
  header, main { padding-left: 1rem; padding-right: 1rem; }
  article { padding: .3rem .8rem .8rem; }
}
@media print { nav { display: none; } .columns { display: block; } }
`;

/** Filters the list of operations, and what stands beside it, by the words that are typed. */
export const script = `
'use strict';
const field = document.getElementById('filter');
document.getElementById('search').hidden = false;
field.addEventListener('input', () => {
  const words = field.value.toLowerCase().split(/\\s+/);
  for (const item of document.querySelectorAll('[data-filter]')) {
    const shown = words.every((word) => item.dataset.filter.includes(word));
    item.hidden = !shown;
    const target = document.getElementById(item.querySelector('a').hash.slice(1));
    if (target) target.hidden = !shown;
  }
});
`;
