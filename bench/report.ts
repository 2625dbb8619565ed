import type { Speedup } from './timing.ts';
import type { Ceilings, Entry, Refusal, Results } from './types.ts';

/** A measurement as a person reads it: `1.23 s (1.20 s to 1.31 s, 5 runs)`. */
export function formatEntry(entry: Entry): string {
  const { implementation, precision, medianMs, minMs, maxMs, runs, clock, throughput, ceilingShare, note } =
    entry;
  const range = [
    `${formatMs(minMs)} to ${formatMs(maxMs)}`,
    `${runs} runs`,
    ...(clock === 'timestamp' ? ['GPU time'] : []),
    ...(entry.cpuMs === undefined ? [] : [`${formatMs(entry.cpuMs)} of processor time`]),
  ].join(', ');
  const share =
    ceilingShare === null
      ? ''
      : `, ${(ceilingShare * 100).toFixed(ceilingShare < 0.1 ? 1 : 0)} % of the ceiling`;
  const rate = `${formatNumber(throughput.value)} ${throughput.unit}`;
  const line = `  ${implementation.padEnd(12)} ${precision.padEnd(9)} ${formatMs(medianMs).padStart(9)}  (${range})  ${rate}${share}`;
  const parts = Object.entries(entry.parts ?? {}).map(([name, ms]) => `${name} ${formatMs(ms)}`);
  return [line, parts.join(', '), note].filter(Boolean).join('\n    ');
}

export function formatRefusal({ implementation, precision, reason }: Refusal): string {
  return `  ${implementation.padEnd(12)} ${precision.padEnd(9)} none: ${reason}`;
}

/** The heading of the entries with this name and batch. */
export function heading({ name, batch }: Pick<Entry, 'name' | 'batch'>): string {
  return name.includes('(') || batch === 1
    ? name.includes('(')
      ? name
      : `${name}, batch 1`
    : `${name}, batch ${batch}`;
}

/**
 * How many times faster each of our entries is than every peer's, and than our own fp32.
 *
 * @param software whether the adapter is this process's own threads: the ratio of processor times, which other load on
 *   the machine hardly touches, then follows in parentheses
 */
export function formatRatios(entries: readonly Entry[], software = false): string[] {
  const lines: string[] = [];
  for (const own of entries) {
    if (own.implementation !== 'lloyd') continue;
    const rivals = entries.filter(
      (other) => other.name === own.name && other.batch === own.batch && isBeside(own, other),
    );
    if (rivals.length === 0) continue;
    const ratios = rivals.map((other) => {
      const who = other.implementation === 'lloyd' ? 'our fp32' : other.implementation;
      const { median, min, max, rounds, cpu } = ratioTo(own, other);
      const details = [
        ...(rounds > 0 ? [`${formatRatio(min)} to ${formatRatio(max)} in ${rounds} rounds`] : []),
        ...(software && cpu ? [`${formatRatio(cpu.median)} x by processor time`] : []),
        ...(own.hash && other.hash && own.hash !== other.hash && own.precision === other.precision
          ? ['OTHER INTEGERS']
          : []),
      ];
      return `${formatRatio(median)} x ${who}${details.length > 0 ? ` (${details.join('; ')})` : ''}`;
    });
    lines.push(`${heading(own)}: ${own.precision} runs at ${ratios.join(', ')}`);
  }
  return lines;
}

/** Whom an entry of ours is held against: every peer, an older build at the same precision, and our own fp32. */
export function isBeside(
  own: Pick<Entry, 'precision'>,
  other: Pick<Entry, 'implementation' | 'precision'>,
): boolean {
  if (other.implementation === 'lloyd-before') return other.precision === own.precision;
  return other.implementation !== 'lloyd' || (other.precision === 'fp32' && own.precision !== 'fp32');
}

/** The ratio taken round by round; of entries that were not timed in turn, that of their medians. */
export function ratioTo(own: Entry, other: Entry): Speedup {
  const { implementation, precision } = other;
  const paired = own.ratios?.find(
    (each) => each.implementation === implementation && each.precision === precision,
  );
  if (paired) return paired;
  const same = (ratio: number) => ({ median: ratio, min: ratio, max: ratio });
  const cpu = own.cpuMs && other.cpuMs ? { cpu: same(other.cpuMs / own.cpuMs) } : {};
  return { ...same(other.medianMs / own.medianMs), rounds: 0, ...cpu };
}

/** Near 1 two digits hide what a change did. */
const formatRatio = (ratio: number) => (ratio > 0.8 && ratio < 1.25 ? ratio.toFixed(3) : formatNumber(ratio));

/** Past this the machine was another at the end than at the start. */
const STEADY = 1.1;

/** How far the adapter's ceilings moved while a bench ran, where that is too far; null for a steady machine. */
export function formatDrift({ ceilingRange }: Pick<Results, 'ceilingRange'>): string | null {
  const names = { f32GFlops: 'f32', int8Gops: 'int8', copyGBps: 'copy' } as const;
  const moved = Object.entries(ceilingRange ?? {}).flatMap(([name, [least, most]]) =>
    most > least * STEADY
      ? `${names[name as keyof Ceilings]} by ${Math.round((most / least - 1) * 100)} %`
      : [],
  );
  if (moved.length === 0) return null;
  return `the machine was not steady: its ceilings drifted while this ran, ${moved.join(', ')}; trust ratios, not times`;
}

export function formatCeilings({
  adapter,
  driver,
  ceilings,
}: Pick<Results, 'adapter' | 'driver' | 'ceilings'>): string {
  const { f32GFlops, int8Gops, copyGBps } = ceilings;
  const rates = [
    `f32 ${formatNumber(f32GFlops)} GFLOP/s`,
    `int8 ${formatNumber(int8Gops)} GOP/s`,
    `copy ${formatNumber(copyGBps)} GB/s`,
  ];
  return `${adapter} (${driver})\nceilings: ${rates.join(', ')}`;
}

export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  if (ms >= 1) return `${ms.toPrecision(3)} ms`;
  return `${(ms * 1000).toPrecision(3)} us`;
}

/** Two or three significant digits, never an exponent. */
export function formatNumber(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return value.toPrecision(value >= 10 ? 3 : 2);
}
