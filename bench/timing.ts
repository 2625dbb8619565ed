import type { Call } from '../src/gpu/kernel.ts';
import type { Runtime } from '../src/gpu/runtime.ts';

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
  const sorted = [...times].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const medianMs = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { medianMs, minMs: sorted[0], maxMs: sorted[sorted.length - 1], runs: sorted.length };
}

/** A function that runs `calls` `repeats` times in one submit and gives the milliseconds of one of them. */
export function gpuTimer(runtime: Runtime, calls: readonly Call[], repeats: number) {
  const { device } = runtime;
  const stamps = device.features.has('timestamp-query');
  const querySet = stamps ? device.createQuerySet({ type: 'timestamp', count: 2 }) : null;
  const resolved = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  return {
    clock: stamps ? ('timestamp' as const) : ('wall' as const),
    async time(): Promise<number> {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass(
        querySet
          ? { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } }
          : undefined,
      );
      for (let i = 0; i < repeats; i++) for (const call of calls) call.encode(pass);
      pass.end();
      if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      const commands = encoder.finish();
      const start = performance.now();
      device.queue.submit([commands]);
      await device.queue.onSubmittedWorkDone();
      const wall = performance.now() - start;
      if (!querySet) return wall / repeats;
      const [from, to] = new BigUint64Array(await runtime.read(resolved, 16));
      const stamped = Number(to - from) / 1e6;
      // Some drivers stamp before the work is done or not at all; the wall clock then is the honest one.
      return (stamped > 0 && stamped <= wall ? stamped : wall) / repeats;
    },
    close() {
      querySet?.destroy();
      resolved.destroy();
    },
  };
}
