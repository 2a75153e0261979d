#!/usr/bin/env node
// Starts rungate, or says in one sentence that it needs a newer Node.js. That sentence is of use only to an old one,
// so this file stays plain JavaScript that Node 12 can read, and imports nothing before it has looked.
const major = Number(process.versions.node.split('.')[0]);

if (major < 24) {
  console.error(`rungate needs Node.js 24 or newer; this is ${process.version}.`);
  process.exit(1);
} else {
  Promise.all([import('node:fs'), import('node:module')])
    .then(([fs, { enableCompileCache }]) => {
      // The second start loads in a third of the time. Where nothing can be written it does nothing, and what is measured
      // for coverage is measured as it was written.
      if (!process.env.NODE_V8_COVERAGE) enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/rungate`);
      // A checkout runs its source. An installed package runs what was built, because Node strips no types below
      // node_modules; an image has no source at all.
      const installed = import.meta.url.includes('/node_modules/');
      const source = new URL('../src/main.ts', import.meta.url);
      return import(!installed && fs.existsSync(source) ? source.href : '../dist/main.js');
    })
    .catch((error) => {
      console.error(error);
      process.exit(1);
    });
}
