/**
 * Builds the console's script into ../static/console/: `console.js`, `enter.js`, `knowledge.js` and `beside.js`, each one file. It uses the
 * widget's esbuild, and leaves the line to the server (`/widget/v1/connection.js`), which the widget's build makes.
 *
 *   node build.mjs           writes them
 *   node build.mjs --check   fails if they are not what these sources build
 *
 * Fails above the budget. The same sources give the same bytes, on every machine.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';

const BUDGETS = { 'console.js, enter.js': 10_000, 'knowledge.js': 1_500, 'beside.js': 1_500 }; // bytes, gzip: what pages load

const here = (path) => new URL(path, import.meta.url);
const { build } = createRequire(here('../../../widget/package.json'))('esbuild');
const { outputFiles } = await build({
  entryPoints: ['console', 'enter', 'knowledge', 'beside'].map((name) => here(`${name}.js`).pathname),
  outdir: here('../static/console').pathname,
  external: ['/widget/*'],
  bundle: true,
  format: 'esm',
  minify: true,
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  write: false,
});
for (const [names, budget] of Object.entries(BUDGETS)) {
  const loaded = outputFiles.filter(({ path }) => names.split(', ').includes(path.split('/').at(-1)));
  const size = loaded.reduce((sum, { text }) => sum + gzipSync(text, { level: 9 }).length, 0);
  console.log(`the console's script, ${names}: ${size} of ${budget} bytes (gzip)`);
  if (size > budget) {
    console.error(`The console's script is ${size - budget} bytes over its budget.`);
    process.exit(1);
  }
}
for (const { path, text } of outputFiles) {
  if (!process.argv.includes('--check')) await writeFile(path, text);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
    console.error(`${path} is not what the sources build: run "node build.mjs" in server/web/script/ and commit it.`);
    process.exit(1);
  }
}
