// npm run readme: fills the generated sections of README.md and docs/conformance.md, docs/accuracy.svg and docs/speed.svg from bench/results/*.json,
// so that no figure in the README is typed by hand. With --check it writes nothing and fails where something is stale.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runnerImport } from 'vite';
import { root } from './package.mjs';

const load = async (path) =>
  (await runnerImport(join(root, path), { root, configFile: false, logLevel: 'error' })).module;
const { accuracyPlot } = await load('src/cli/accuracy-plot.ts');
const { columns, decibels, markdownTable, mebibytes, percent, thousands } = await load('src/cli/table.ts');

const { benchPlot, benchTables, cardNote } = await load('bench/readme.ts');
const { conformanceTable, conformanceTotals } = await load('bench/readme-conformance.ts');
const { networksTable } = await load('bench/networks/table.ts');

const check = process.argv.includes('--check');
const results = readResults();
const report = largest('compare-', ({ images }) => images);
const rows = report.rows.filter(({ status }) => status === 'ok');
// A graphics card's results stand before those of an adapter that is a CPU.
const speeds = results
  .filter(({ name, content }) => !name.startsWith('compare-') && content.cases)
  .map(({ content }) => content)
  .sort((a, b) => b.ceilings.int8Gops - a.ceilings.int8Gops);
if (speeds.length === 0)
  stop('no results of lloyd bench', 'npx lloyd bench --peers --json bench/results/<adapter>.json');

const speedPlot = speeds.map(benchPlot).find((plot) => plot !== null);
if (!speedPlot) stop('no vgg-forward beside tfjs-webgpu', 'npx lloyd bench vgg-forward --peers --json ...');
const conformance = results
  .filter(({ name }) => name.startsWith('conformance-'))
  .map(({ content }) => content);
if (conformance.length === 0)
  stop(
    'no results of lloyd conformance',
    'npx lloyd conformance --json bench/results/conformance-<adapter>.json',
  );
let readme = readFileSync(join(root, 'README.md'), 'utf8');
readme = fill(readme, 'compare', compareTable(report, rows));
readme = fill(readme, 'bench', [
  ...speeds.flatMap((each, i) => [...(i ? [''] : []), ...benchTables(each)]),
  ...cardNote(speeds.map(({ adapter }) => adapter)),
]);
readme = fill(readme, 'conformance', conformanceTotals(conformance));
const networks = results
  .filter(({ name, content }) => name.startsWith('networks-') && !content.interrupted)
  .map(({ content }) => content);
if (networks.length === 0) stop('no results of npm run networks', 'npm run networks');
readme = fill(readme, 'networks', [
  ...networks.flatMap((each, i) => [...(i ? [''] : []), ...networksTable(each)]),
  ...cardNote(networks.map(({ adapter }) => adapter)),
]);
const outputs = {
  'README.md': readme,
  'docs/conformance.md': fill(read('docs/conformance.md'), 'conformance', conformanceTable(conformance)),
  'docs/accuracy.svg': accuracyPlot('A VGG on CIFAR-10: accuracy over size', rows),
  'docs/speed.svg': speedPlot,
};
const stale = Object.keys(outputs).filter((path) => read(path) !== outputs[path]);
if (check && stale.length > 0) stop(`${stale.join(', ')} out of date`, 'npm run readme');
mkdirSync(join(root, 'docs'), { recursive: true });
for (const path of stale) writeFileSync(join(root, path), outputs[path]);
console.log(stale.length > 0 ? `wrote ${stale.join(', ')}` : 'everything is up to date');

function read(path) {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : null;
}

function stop(what, command) {
  console.error(`${what}; run: ${command}`);
  process.exit(1);
}

function readResults() {
  const folder = join(root, 'bench/results');
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .sort()
    : [];
  return names.map((name) => ({ name, content: JSON.parse(readFileSync(join(folder, name), 'utf8')) }));
}

/** The file whose name begins so and that ranks first. */
function largest(prefix, rank) {
  const found = results
    .filter(({ name, content }) => name.startsWith(prefix) && !content.interrupted)
    .map(({ content }) => content);
  if (found.length === 0)
    stop(
      `bench/results holds no ${prefix}*.json`,
      'npm start -- --images all --json bench/results/compare-<adapter>.json',
    );
  return found.reduce((most, each) => (rank(each) > rank(most) ? each : most));
}

function compareTable({ images, adapter, commit, date }, own) {
  const table = markdownTable(
    columns('precision, accuracy %, 95 % interval, agrees with fp32 %, logit SQNR dB, size MiB, file MiB'),
    own.map((row) => [
      `\`${row.name}\``,
      percent(row.accuracy),
      `${percent(row.accuracyLow, 1)}-${percent(row.accuracyHigh, 1)}`,
      percent(row.agreement),
      decibels(row.logitSqnrDb),
      mebibytes(row.sizeBytes),
      mebibytes(row.fileBytes),
    ]),
  );
  const where = adapter.software ? `${adapter.software} (a software adapter)` : adapter.name;
  return [
    ...table,
    '',
    `${thousands(images)} test images, ${where}, commit ${commit}, ${date.slice(0, 10)}; \`npm start -- --images ${images}\` repeats it.`,
  ];
}

/** Replaces what stands between `<!-- table:NAME -->` and `<!-- /table:NAME -->`. */
function fill(text, name, lines) {
  const pattern = new RegExp(`(<!-- table:${name} -->)[\\s\\S]*?(<!-- /table:${name} -->)`);
  if (!pattern.test(text)) throw new Error(`there is no section table:${name}`);
  return text.replace(pattern, (_, open, close) => [open, ...lines, close].join('\n'));
}
