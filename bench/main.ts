import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findPackageRoot, writeAtomically } from '../src/cli/files.ts';
import { check } from '../src/gpu/errors.ts';
import type { Runtime } from '../src/gpu/runtime.ts';
import type { TuneOptions } from '../src/run/tune.ts';
import { benchCases } from './cases/index.ts';
import { measureCeilings } from './ceilings.ts';
import { compareResults } from './compare.ts';
import { gpuDetails } from './gpu-details.ts';
import { describeRun, nodeContext } from './node.ts';
import { peersOf } from './peers/index.ts';
import { type StoredBuild, withStored } from './peers/stored.ts';
import { formatCeilings, formatDrift, formatEntry, formatRatios, formatRefusal, heading } from './report.ts';
import { label, matches, runCases } from './run.ts';
import type { Ceilings, Results, Size } from './types.ts';

export { openStored } from './peers/stored.ts';

/** What `lloyd bench` was asked for. */
export interface BenchOptions {
  filter?: string;
  peers?: boolean;
  quick?: boolean;
  /** Every case at a graphics card's sizes, peers included, and what is known of the adapter. */
  gpuReport?: boolean;
  /** With `gpuReport`: the same steps at the smallest sizes, to try them on any adapter. */
  small?: boolean;
  /** An older build, timed in turn with this one on the whole-model cases. */
  before?: StoredBuild;
  /** Rounds at least; as many as a second or two takes unless given. */
  rounds?: number;
  /** Measure which kernels are fastest before timing a layer or a model. */
  tune?: TuneOptions;
  print(line: string): void;
  /** After every entry, all there is so far: an interruption then loses nothing. */
  keep?(results: Results): Promise<void>;
  signal?: AbortSignal;
}

/** A GPU may be lent for ten minutes: the report ends with what it has, profiles included. */
const GPU_REPORT_MS = 8 * 60_000;

/** Runs the benches in Node and prints them as they come. */
export async function runBench(runtime: Runtime, options: BenchOptions): Promise<Results> {
  const {
    filter,
    quick = false,
    gpuReport = false,
    small = false,
    before,
    rounds,
    tune,
    print,
    signal,
    keep,
  } = options;
  const started = performance.now();
  const size = sizeOf(options);
  const cases = benchCases(size).map((benchCase) => (before ? withStored(before, benchCase) : benchCase));
  const context = { ...nodeContext(runtime, size), tune };
  const withPeers = options.peers || gpuReport;
  const measured = () => measureCeilings(runtime.device, small || runtime.adapter.profile === 'cpu');
  const ceilings = await measured();
  const steadiness = watchCeilings(ceilings, measured);
  const description = await describeRun(runtime, ceilings);
  print(formatCeilings(description));
  let last = '';
  const under = (entry: { name: string; batch: number }) => {
    const title = heading(entry);
    if (title !== last) print(`\n${title}`);
    last = title;
  };
  const { cases: entries, refused } = await runCases(context, cases, {
    ceilings,
    quick: quick || small,
    rounds,
    filter,
    signal,
    ...(gpuReport && { deadline: started + GPU_REPORT_MS }),
    ...(withPeers && { peersOf }),
    async onEntry(entry, sofar) {
      under(entry);
      print(formatEntry(entry));
      await keep?.({ ...description, ceilingRange: steadiness.range, ...sofar });
    },
    async onRefusal(refusal, sofar) {
      under(refusal);
      print(formatRefusal(refusal));
      await keep?.({ ...description, ceilingRange: steadiness.range, ...sofar });
    },
    onPause: () => steadiness.look(CEILINGS_MS),
  });
  const ratios = formatRatios(entries, runtime.adapter.profile === 'cpu');
  if (ratios.length > 0) print(`\n${ratios.join('\n')}`);
  const details = gpuReport ? { gpu: await gpuDetails(context, small ? 1 : 1000) } : {};
  await steadiness.look();
  const results = { ...description, ceilingRange: steadiness.range, cases: entries, refused, ...details };
  const drift = formatDrift(results);
  if (drift) print(`\n${drift}`);
  return results;
}

/** Of a long run, how often its ceilings are measured again: it takes a second. */
const CEILINGS_MS = 30_000;

/** What the ceilings were at least and at most while the cases ran. */
function watchCeilings(first: Ceilings, measured: () => Promise<Ceilings>) {
  const of = (each: Ceilings) => Object.entries(each) as [keyof Ceilings, number][];
  const range = Object.fromEntries(of(first).map(([name, rate]) => [name, [rate, rate]])) as NonNullable<
    Results['ceilingRange']
  >;
  let last = performance.now();
  return {
    range,
    /** Measures them again where that was longer ago than `sinceMs`. */
    async look(sinceMs = 0) {
      if (performance.now() - last < sinceMs) return;
      for (const [name, rate] of of(await measured())) {
        range[name] = [Math.min(range[name][0], rate), Math.max(range[name][1], rate)];
      }
      last = performance.now();
    },
  };
}

function sizeOf({ gpuReport, small, quick }: Pick<BenchOptions, 'gpuReport' | 'small' | 'quick'>): Size {
  return gpuReport ? (small ? 'tiny' : 'gpu') : quick ? 'quick' : 'standard';
}

/** `lloyd bench --compare A.json B.json`. */
export async function compareFiles(before: string, after: string): Promise<string[]> {
  const [was, is] = await Promise.all([before, after].map(readResults));
  return compareResults(was, is);
}

/** Where this adapter's results are kept: `bench/results/<adapter>.json`. */
export async function resultsPath({ adapter }: Pick<Results, 'adapter'>): Promise<string> {
  const slug = adapter
    .toLowerCase()
    .replace(/\(.*?\)/g, ' ')
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return join(await findPackageRoot(), 'bench', 'results', `${slug}.json`);
}

export async function writeResults(path: string, results: object): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeAtomically(path, `${JSON.stringify(results, null, 2)}\n`);
}

async function readResults(path: string): Promise<Results> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    check(false, '--compare takes two results files', `${path} (${cause.message})`, 'check the path');
  });
  let results: Partial<Results> | undefined;
  try {
    results = JSON.parse(text ?? '');
  } catch {
    results = undefined;
  }
  check(Array.isArray(results?.cases), '--compare takes two files that lloyd bench --json wrote', path);
  return results as Results;
}

/** Refuses a filter that selects nothing: it would end at once and look like success. */
export function checkFilter({ filter, ...options }: Omit<BenchOptions, 'print'>): void {
  if (!filter) return;
  const size = sizeOf(options);
  const labels = benchCases(size).flatMap((benchCase) =>
    [...benchCase.subjects, ...peersOf(benchCase)].map((subject) =>
      label({ name: benchCase.name, ...subject }),
    ),
  );
  const names = [...new Set(benchCases(size).map(({ name }) => name))];
  check(
    labels.some((each) => matches(each, filter)),
    `the filter must match a case, such as ${names.slice(0, 3).join(', ')}`,
    filter,
    `its name or a part of it, like one of ${[...new Set(names.map((name) => name.replace(/\(.*/, '')))].join(' ')}`,
  );
}
