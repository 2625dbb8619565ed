import { alignTable } from '../src/cli/table.ts';
import { formatMs, formatNumber } from './report.ts';
import type { Ceilings, Entry, Results } from './types.ts';

interface Pair {
  key: string;
  was: Entry;
  is: Entry;
}

/**
 * What moved from one results file to another: other integers first, then what is slower, then what is faster. A case
 * has moved where the two ranges do not overlap; how far the ceilings moved says what the machine itself did.
 */
export function compareResults(before: Results, after: Results): string[] {
  const earlier = new Map(before.cases.map((entry) => [keyOf(entry), entry]));
  const pairs: Pair[] = [];
  const fresh: string[] = [];
  for (const is of after.cases) {
    const key = keyOf(is);
    const was = earlier.get(key);
    earlier.delete(key);
    if (was) pairs.push({ key, was, is });
    else fresh.push(`${key}, ${formatMs(is.medianMs)}`);
  }
  const lines = heading(before, after);
  const others = pairs.filter(({ was, is }) => was.hash && is.hash && was.hash !== is.hash);
  if (others.length > 0) {
    lines.push('', 'ANOTHER RESULT than before:', ...others.map(({ key }) => `  ${key}`));
  }
  const slower = pairs.filter(({ was, is }) => is.minMs > was.maxMs).sort(byRatio);
  const faster = pairs.filter(({ was, is }) => is.maxMs < was.minMs).sort(byRatio);
  const moved = [...slower, ...faster];
  if (moved.length > 0) lines.push('', ...movedTable(moved, slower.length));
  const still = pairs.length - moved.length;
  lines.push('', `${slower.length} slower, ${faster.length} faster, ${still} within noise`);
  if (fresh.length > 0) lines.push('new:', ...fresh.map((line) => `  ${line}`));
  if (earlier.size > 0) lines.push('gone:', ...Array.from(earlier.keys(), (line) => `  ${line}`));
  return lines;
}

const keyOf = ({ name, implementation, precision, batch }: Entry) =>
  `${name} ${precision} batch=${batch} ${implementation}`;
const ratioOf = ({ was, is }: Pair) => was.medianMs / is.medianMs;
const byRatio = (a: Pair, b: Pair) => ratioOf(a) - ratioOf(b);

function heading(before: Results, after: Results): string[] {
  const run = ({ commit, date }: Results) => `${commit} (${date.slice(0, 16).replace('T', ' ')})`;
  const lines = [`${run(before)} -> ${run(after)}`];
  if (before.adapter !== after.adapter) {
    lines.push(`adapters differ: ${before.adapter}, then ${after.adapter}`);
    return lines;
  }
  const ratios = (['f32GFlops', 'int8Gops', 'copyGBps'] as const satisfies readonly (keyof Ceilings)[]).map(
    (name) => `${LABELS[name]} ${formatNumber(after.ceilings[name] / before.ceilings[name])} x`,
  );
  lines.push(`the machine itself: ${ratios.join(', ')}`);
  return lines;
}

const LABELS: Record<keyof Ceilings, string> = { f32GFlops: 'f32', int8Gops: 'int8', copyGBps: 'copy' };

/** Times as fast as before, by the clock and, where both runs know it, by processor time. */
function movedTable(moved: readonly Pair[], slower: number): string[] {
  const rows = moved.map((pair, i) => {
    const { key, was, is } = pair;
    const cpu = was.cpuMs && is.cpuMs ? formatNumber(was.cpuMs / is.cpuMs) : '';
    const times = [formatMs(was.medianMs), formatMs(is.medianMs), formatNumber(ratioOf(pair)), cpu];
    return [i < slower ? 'slower' : 'faster', key, ...times];
  });
  const headings = ['', 'case', 'before', 'after', 'speed x', 'by processor time'];
  const columns = headings.map((name, i) => ({
    heading: name,
    align: i < 2 ? ('left' as const) : ('right' as const),
  }));
  // The last column only where it says something.
  const width = rows.some((row) => row.at(-1) !== '') ? headings.length : headings.length - 1;
  return alignTable(
    columns.slice(0, width),
    rows.map((row) => row.slice(0, width)),
  );
}
