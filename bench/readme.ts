import { METHOD_COLOURS, OTHERS } from '../src/cli/svg.ts';
import { barChart } from '../src/cli/svg-bars.ts';
import { markdownTable } from '../src/cli/table.ts';
import { formatMs, formatNumber, heading, ratioTo } from './report.ts';
import type { Entry, Implementation, Results } from './types.ts';

/** The README's names; a results file keeps the short ones. */
const NAMES: Record<Implementation, string> = {
  lloyd: 'lloyd',
  'lloyd-before': 'lloyd before',
  'tfjs-webgpu': 'tfjs (WebGPU)',
  'ort-webgpu': 'ONNX Runtime (WebGPU)',
  'tfjs-wasm': 'tfjs (wasm)',
  'ort-cpu': 'ONNX Runtime (CPU)',
  'ml-kmeans': 'ml-kmeans',
  skmeans: 'skmeans',
};

/** The peer whose speed is 1 in the plot. */
const BASE: Implementation = 'tfjs-webgpu';

interface Row {
  own: Entry;
  peers: Entry[];
}

/** Tables of everything that a peer did too: the median, its range, and how many times a peer's speed that is. */
export function benchTables(results: Results): string[] {
  const tables: { peers: Implementation[]; rows: Row[] }[] = [];
  for (const own of results.cases) {
    const peers = results.cases.filter(
      ({ name, batch, implementation }) =>
        implementation !== 'lloyd' &&
        own.implementation === 'lloyd' &&
        name === own.name &&
        batch === own.batch,
    );
    if (peers.length === 0) continue;
    const names = peers.map(({ implementation }) => implementation);
    // Works that share a peer share a table; others would leave most of its columns empty.
    let table = tables.find((each) => each.peers.some((peer) => names.includes(peer)));
    if (!table) {
      table = { peers: [], rows: [] };
      tables.push(table);
    }
    table.peers.push(...names.filter((peer) => !table.peers.includes(peer)));
    table.rows.push({ own, peers });
  }
  const lines = tables.flatMap(({ peers, rows }) => [...benchTable(peers, rows), '']);
  return [...lines, provenance(results)];
}

function benchTable(peers: readonly Implementation[], rows: readonly Row[]): string[] {
  const left = ['work', 'precision'].map((name) => ({ heading: name, align: 'left' as const }));
  const right = ['median', 'range', 'of the ceiling', ...peers.map((peer) => `x ${NAMES[peer]}`)];
  return markdownTable(
    [...left, ...right.map((name) => ({ heading: name, align: 'right' as const }))],
    rows.map(({ own, peers: rivals }) => [
      heading(own),
      `\`${own.precision}\``,
      formatMs(own.medianMs),
      `${formatMs(own.minMs)} to ${formatMs(own.maxMs)}`,
      own.ceilingShare === null ? '-' : `${Math.round(own.ceilingShare * 100)} %`,
      ...peers.map((peer) => {
        const rival = rivals.find(({ implementation }) => implementation === peer);
        return rival ? formatNumber(ratioTo(own, rival).median) : '-';
      }),
    ]),
  );
}

/** Whether an adapter's name is that of a renderer which runs on the processor. */
const isSoftware = (adapter: string) => /llvmpipe|lavapipe|swiftshader/i.test(adapter);

/** What kind of adapter figures are of, where that is no graphics card; empty of a card. */
export const softwareNote = (adapter: string) =>
  isSoftware(adapter)
    ? ` ${adapter.split(':')[0]} is a software adapter: these are a processor's speeds.`
    : '';

/** Said under a table of speeds for as long as it is true. */
export const cardNote = (adapters: readonly string[]) =>
  adapters.every(isSoftware) ? ['', 'No graphics card has been measured yet for this table.'] : [];

function provenance({ adapter, platform, commit, date }: Results): string {
  return (
    `${adapter}, ${platform}, commit ${commit}, ${date.slice(0, 10)}.${softwareNote(adapter)} \`x\` columns: how many times as fast ` +
    'as that peer in the same process, on the same adapter (wasm and CPU: on the same processor) and the same bytes.'
  );
}

const methodOf = (precision: string) =>
  precision.startsWith('kmeans') ? 'kmeans' : precision.startsWith('int') ? 'linear' : 'fp32';

/** The VGG's forward at the largest batch on one WebGPU adapter, as multiples of {@link BASE}'s speed; null without it. */
export function benchPlot({ cases, adapter }: Results): string | null {
  const forwards = cases.filter(({ name, ceilingShare }) => name === 'vgg-forward' && ceilingShare !== null);
  const batch = Math.max(
    ...forwards.filter(({ implementation }) => implementation === BASE).map((e) => e.batch),
  );
  const entries = forwards.filter((entry) => entry.batch === batch);
  const base = entries.find(({ implementation }) => implementation === BASE);
  if (!base) return null;
  const bars = entries
    .sort((a, b) => a.medianMs - b.medianMs)
    .map(({ implementation, precision, medianMs, minMs, maxMs }) => ({
      label: `${NAMES[implementation]} ${precision}`,
      colour: implementation === 'lloyd' ? METHOD_COLOURS[methodOf(precision)] : OTHERS,
      value: base.medianMs / medianMs,
      low: base.medianMs / maxMs,
      high: base.medianMs / minMs,
      text: `${formatNumber(base.medianMs / medianMs)} x`,
    }));
  return barChart(
    `A VGG's forward pass, batch ${batch}, all on one adapter`,
    `times as fast as ${NAMES[BASE]}; ${adapter.split(':')[0]}`,
    bars,
  );
}
