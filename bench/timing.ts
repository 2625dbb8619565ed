import { median } from '../src/tune/timer.ts';

/** The spread of a subject's timed runs, in milliseconds. */
export interface Timing {
  medianMs: number;
  minMs: number;
  maxMs: number;
  runs: number;
  /**
   * Processor time of a run, all threads together (Node only). On a software adapter, which is threads of this
   * process, it says what a run costs whatever else the machine is doing.
   */
  cpuMs?: number;
  /** Milliseconds of what a run was made of: of each part the median. */
  parts?: Record<string, number>;
}

/** Past this a run is so long that more than two samples cost minutes. */
const SLOW_MS = 10_000;

/** What is timed: a run that is complete when its promise resolves. */
export interface Timed {
  run(): Promise<unknown>;
  /** Milliseconds of GPU time a run by timestamps, where that says more than the wall clock. */
  gpuTime?(): Promise<number>;
  /** What must come before a run, outside its time. */
  before?(): Promise<unknown>;
  /** Milliseconds of what the last run was made of. */
  parts?(): Record<string, number>;
}

/** One timed run. */
export interface Sample {
  ms: number;
  cpuMs?: number;
  parts?: Record<string, number>;
}

/** The runs of one of several that were timed together: `samples[i]` was taken in round `i`. */
export interface Sampled {
  samples: Sample[];
  /** What ended it before its time. */
  failure?: unknown;
}

/**
 * Times several things in turn, A B C A B C: what the machine does besides meets all of them alike, and the ratio of
 * two is taken within a round. Each stays in until it has runs enough or its time is over; one that throws drops out.
 *
 * The warm-up is the caller's, and is needed: the first run compiles shaders, which takes seconds on a software adapter.
 *
 * @param options.rounds how many there must be at least
 * @param options.signal ends it after the run that is under way, with what there is
 * @example
 * await session.run(images);
 * const [{ samples }] = await interleave([{ run: () => session.run(images) }]);
 * const { medianMs } = timingOf(samples);
 */
export async function interleave(
  timed: readonly Timed[],
  { quick = false, rounds = 0, signal }: { quick?: boolean; rounds?: number; signal?: AbortSignal } = {},
): Promise<Sampled[]> {
  const sampled = timed.map((): Sampled => ({ samples: [] }));
  const spent = timed.map(() => 0);
  const isIn = (at: number) => {
    const { samples, failure } = sampled[at];
    return (
      failure === undefined && (samples.length < Math.max(1, rounds) || wantsMore(samples, spent[at], quick))
    );
  };
  while (!signal?.aborted && timed.some((_, at) => isIn(at))) {
    for (const [at, each] of timed.entries()) {
      if (signal?.aborted || !isIn(at)) continue;
      const started = performance.now();
      try {
        await each.before?.();
        sampled[at].samples.push(await sample(each));
      } catch (error) {
        sampled[at].failure = error;
      }
      spent[at] += performance.now() - started;
    }
  }
  return sampled;
}

/** The first run says how many there can be. */
function wantsMore({ length, 0: first }: readonly Sample[], spentMs: number, quick: boolean): boolean {
  const estimate = Math.max(first.ms, length === 1 ? spentMs : 0);
  const least = estimate >= SLOW_MS ? 2 : estimate >= 1000 || quick ? 3 : 5;
  const most = estimate >= SLOW_MS ? 2 : 50;
  return length < least || (length < most && spentMs < (quick ? 300 : 1500));
}

async function sample({ run, gpuTime, parts }: Timed): Promise<Sample> {
  if (gpuTime) return { ms: await gpuTime() };
  const cpu = cpuMilliseconds();
  const start = performance.now();
  await run();
  const ms = performance.now() - start;
  const cpuMs = cpuMilliseconds() - cpu;
  return { ms, ...(cpuMs > 0 && { cpuMs }), ...(parts && { parts: parts() }) };
}

function cpuMilliseconds(): number {
  const usage = globalThis.process?.cpuUsage?.();
  return usage ? (usage.user + usage.system) / 1000 : 0;
}

/** The spread of some milliseconds. */
export function summarize(times: readonly number[]): Timing {
  const { median: medianMs, min: minMs, max: maxMs } = spread(times);
  return { medianMs, minMs, maxMs, runs: times.length };
}

/** The spread of what was sampled, with processor time and parts where they are known. */
export function timingOf(samples: readonly Sample[]): Timing {
  const cpu = samples.flatMap(({ cpuMs }) => cpuMs ?? []);
  return {
    ...summarize(samples.map(({ ms }) => ms)),
    ...(cpu.length > 0 && { cpuMs: median(cpu) }),
    ...(samples[0].parts && { parts: medianParts(samples) }),
  };
}

function medianParts(samples: readonly Sample[]): Record<string, number> {
  const names = Object.keys(samples[0].parts ?? {});
  return Object.fromEntries(names.map((name) => [name, median(samples.map(({ parts }) => parts![name]))]));
}

/** The middle and the ends of some figures. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** How many times as fast as another, round by round. */
export interface Speedup extends Spread {
  rounds: number;
  /** The same by processor time, where both know theirs. */
  cpu?: Spread;
}

/** How many times as fast one ran as another, in the rounds that both were in; null where there was none. */
export function speedup(own: readonly Sample[], other: readonly Sample[]): Speedup | null {
  const rounds = Math.min(own.length, other.length);
  if (rounds === 0) return null;
  const shared = own.slice(0, rounds).map((each, i) => [each, other[i]] as const);
  const cpu = shared.flatMap(([a, b]) => (a.cpuMs && b.cpuMs ? b.cpuMs / a.cpuMs : []));
  return {
    ...spread(shared.map(([a, b]) => b.ms / a.ms)),
    rounds,
    ...(cpu.length === rounds && { cpu: spread(cpu) }),
  };
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}
