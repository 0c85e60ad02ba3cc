/**
 * Builds what browsers load into dist/: `onethread.js` (a classic script that may also be included as a module), `more.js`
 * (what it loads when the chat is opened: its own properties have the same short names),
 * `connection.js` (the line alone, a module for the staff console), `frame.js` (beside the chat in a frame), the words of the other languages, and `manifest.json`.
 *
 *   node build.mjs           writes dist/
 *   node build.mjs --check   fails if dist/ is not what the sources build
 *
 * Fails above the budget. The same sources give the same bytes, on every machine.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, transform } from 'esbuild';
import { minify } from 'terser';

const BUDGET = 12_000; // bytes, gzip: everything before opening, plus text chat in one language

/** Properties that only our own sources use: no protocol, no storage and no browser knows them, so they may be short. */
const OURS = `
  add adopt below clip drawn extra full reach ring seen take tools tuner agree agreed again appear asked atEnd changed choose clear colleague day discard door down draw drop elsewhere enter entries
  error first floor flying follow following forget frame hello history keep knocked last learn leave line live local longest lost
  make memory message met mistake more mustAgree names news next note older opening outlive owed pause posts props proof queue
  readByThem ready release remember rest retry see server session settle show speak stands state stopped tab tag take talk toEnd
  turn typing typist unsure up vanish visit wait wake welcome wish world write
`;

const here = (path) => new URL(path, import.meta.url);
const text = (path) => readFile(here(path), 'utf8');

/** A style sheet as a string without what only people read. */
const sheets = {
  name: 'sheets',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, 'utf8'), { loader: 'css', minify: true, target: 'es2022' });
      return { contents: code.trim().replace(/([:,]) |(?<==)"(?=\w)|(?<=\w)"(?=])/g, '$1'), loader: 'text' }; // esbuild leaves custom properties alone
    }),
};

/** What tells the sources of one build from another's: the two files only fit together when they are of the same. */
async function fingerprint() {
  const hash = createHash('sha256');
  for (const name of (await readdir(here('src'))).filter((one) => /\.(js|css)$/.test(one)).sort()) hash.update(await text(`src/${name}`));
  return hash.digest('hex').slice(0, 8);
}

async function bundle(entry, options) {
  const common = { bundle: true, minify: true, target: 'es2022', charset: 'utf8', legalComments: 'none', write: false, plugins: [sheets] };
  const { outputFiles, mangleCache } = await build({ ...common, entryPoints: [here(entry).pathname], ...options });
  return { code: outputFiles[0].text, mangleCache };
}

/** The widget: what esbuild leaves, once more through terser, which finds another twentieth. */
async function widget() {
  const define = { BUILD: `'${await fingerprint()}'` };
  const names = new RegExp(`^(${OURS.trim().split(/\s+/).join('|')})$`);
  const first = await bundle('src/index.js', { format: 'iife', define, mangleProps: names, mangleCache: {} });
  const second = await bundle('src/more.js', { format: 'esm', define, mangleProps: names, mangleCache: first.mangleCache });
  const { code } = await minify(first.code, {
    ecma: 2020,
    compress: { passes: 6, unsafe: true, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, keep_fargs: false, reduce_funcs: false, sequences: false },
  });
  const brands = code.match(/--brand:#[0-9a-f]{6}/g); // which the server replaces by the clinic's
  if (brands?.length !== 1) throw new Error(`Expected --brand once in the script, as six digits: ${brands}`);
  return { script: `${code}\n`, more: second.code };
}

async function make() {
  const { script, more } = await widget();
  const digest = (algorithm, encoding) => createHash(algorithm).update(script).digest(encoding);
  const manifest = {
    file: 'onethread.js',
    hash: digest('sha256', 'hex').slice(0, 16),
    sri: `sha384-${digest('sha384', 'base64')}`,
    gzip_bytes: gzipSync(script, { level: 9 }).length,
    budget_bytes: BUDGET,
  };
  const { code: staff } = await bundle('src/staff.js', { format: 'esm' });
  const { code: frame } = await bundle('src/frame.js', { format: 'iife' });
  const files = { 'onethread.js': script, 'more.js': more, 'connection.js': staff, 'frame.js': frame };
  for (const name of (await readdir(here('src/strings'))).sort()) {
    files[`strings/${name}`] = `${JSON.stringify(JSON.parse(await text(`src/strings/${name}`)))}\n`;
  }
  files['manifest.json'] = `${JSON.stringify(manifest, null, 2)}\n`;
  return { files, manifest };
}

const { files, manifest } = await make();
console.log(`onethread.js: ${manifest.gzip_bytes} of ${BUDGET} bytes (gzip)`);
if (manifest.gzip_bytes > BUDGET) {
  console.error(`The widget is ${manifest.gzip_bytes - BUDGET} bytes over its budget.`);
  process.exit(1);
}
if (process.argv.includes('--check')) {
  for (const [name, content] of Object.entries(files)) {
    if ((await text(`dist/${name}`).catch(() => '')) !== content) {
      console.error(`dist/${name} is not what the sources build: run "npm run build" in widget/ and commit it.`);
      process.exit(1);
    }
  }
} else {
  await rm(here('dist'), { recursive: true, force: true });
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(here(`dist/${name}`).pathname), { recursive: true });
    await writeFile(here(`dist/${name}`), content);
  }
}
