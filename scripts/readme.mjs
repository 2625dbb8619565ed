// npm run readme: fills README.md's generated sections and docs/accuracy.svg from bench/results/*.json, so that no
// figure in the README is typed by hand.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runnerImport } from 'vite';
import { root } from './package.mjs';

const load = async (path) =>
  (await runnerImport(join(root, path), { root, configFile: false, logLevel: 'error' })).module;
const { scatterPlot } = await load('src/cli/svg.ts');
const { columns, decibels, markdownTable, mebibytes, percent, thousands } = await load('src/cli/table.ts');

const report = best('compare-', (candidate) => candidate.images);
if (!report) {
  console.error(
    'bench/results holds no compare-*.json; write one: npm start -- --images all --json bench/results/compare-<adapter>.json',
  );
  process.exit(1);
}
const rows = report.rows.filter(({ status }) => status === 'ok');
mkdirSync(join(root, 'docs'), { recursive: true });
writeFileSync(join(root, 'docs/accuracy.svg'), plot(rows));
let readme = readFileSync(join(root, 'README.md'), 'utf8');
readme = fill(readme, 'compare', compareTable(report, rows));
writeFileSync(join(root, 'README.md'), readme);
console.log(`README.md and docs/accuracy.svg from ${thousands(report.images)} images`);

function best(prefix, rank) {
  const folder = join(root, 'bench/results');
  if (!existsSync(folder)) return null;
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
    .reduce((most, candidate) => (!most || rank(candidate) > rank(most) ? candidate : most), null);
}

function compareTable({ images, adapter, date }, own) {
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
  const where = adapter.software ?? adapter.name;
  return [
    ...table,
    '',
    `${thousands(images)} test images, ${where}, ${date.slice(0, 10)}; \`npm start -- --images all\` repeats it.`,
  ];
}

function plot(own) {
  const series = ({ method, name }) => {
    if (method === 'fp32') return 'fp32';
    const family = method === 'linear' ? 'linear, integers only' : 'k-means';
    return name.endsWith('-qat') ? `${family}, fine-tuned` : family;
  };
  const points = own.map((row) => ({
    label: `${row.name}: ${percent(row.accuracy)} %`,
    series: series(row),
    x: row.sizeBytes / 2 ** 20,
    y: row.accuracy,
    low: row.accuracyLow,
    high: row.accuracyHigh,
  }));
  return scatterPlot(
    'A VGG on CIFAR-10: accuracy over size',
    'size of the parameters, MiB',
    'top-1, %',
    points,
  );
}

/** Replaces what stands between `<!-- table:NAME -->` and `<!-- /table:NAME -->`. */
function fill(text, name, lines) {
  const pattern = new RegExp(`(<!-- table:${name} -->)[\\s\\S]*?(<!-- /table:${name} -->)`);
  if (!pattern.test(text)) throw new Error(`README.md has no section table:${name}`);
  return text.replace(pattern, (_, open, close) => [open, ...lines, close].join('\n'));
}
