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
}

/** Past this a run is so long that more than two samples cost minutes. */
const SLOW_MS = 10_000;

/**
 * Times `run` by the wall clock. Its warm-up is the caller's, and is needed: the first run compiles shaders, which takes
 * seconds on a software adapter.
 *
 * @example
 * await session.run(images);
 * const { medianMs } = await measure(() => session.run(images));
 */
export async function measure(run: () => Promise<unknown>, quick = false): Promise<Timing> {
  const before = cpuMilliseconds();
  const timing = await sample(async () => {
    const start = performance.now();
    await run();
    return performance.now() - start;
  }, quick);
  const cpuMs = (cpuMilliseconds() - before) / timing.runs;
  return { ...timing, ...(cpuMs > 0 && { cpuMs }) };
}

/** As {@link measure}, of a function that returns its own milliseconds. */
export async function sample(run: () => Promise<number>, quick = false): Promise<Timing> {
  const times: number[] = [];
  const first = performance.now();
  times.push(await run());
  // The first run says how many there can be.
  const estimate = performance.now() - first;
  const least = estimate >= SLOW_MS ? 2 : estimate >= 1000 || quick ? 3 : 5;
  const most = estimate >= SLOW_MS ? 2 : 50;
  const target = quick ? 300 : 1500;
  while (times.length < least || (times.length < most && performance.now() - first < target))
    times.push(await run());
  return summarize(times);
}

function cpuMilliseconds(): number {
  const usage = globalThis.process?.cpuUsage?.();
  return usage ? (usage.user + usage.system) / 1000 : 0;
}

export function summarize(times: readonly number[]): Timing {
  return {
    medianMs: median(times),
    minMs: Math.min(...times),
    maxMs: Math.max(...times),
    runs: times.length,
  };
}
