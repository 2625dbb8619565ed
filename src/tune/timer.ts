import { type Call, recordCalls } from '../gpu/call.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Runtime } from '../gpu/runtime.ts';

/** Times the same calls again and again; see {@link createTimer}. */
export interface Timer {
  /** The GPU's own timestamps, or the host's clock around the submit where there are none. */
  readonly clock: 'timestamp' | 'wall';
  /** Milliseconds of one pass over the calls. */
  time(): Promise<number>;
  /** Frees what the timer made; the calls stay the caller's. */
  close(): void;
}

/**
 * A timer that runs `calls` `repeats` times in one submit and gives the milliseconds of one of them.
 *
 * @example
 * const timer = createTimer(runtime, [call], 20);
 * await timer.time(); // compiles what the driver left for the first run
 * const milliseconds = await timer.time();
 * timer.close();
 */
export function createTimer(runtime: Runtime, calls: readonly Call[], repeats: number): Timer {
  const { device } = runtime;
  const stamps = device.features.has('timestamp-query');
  const guard = guardOf(device);
  const { querySet, resolved } = guard.note('the timestamps', () => {
    const set = stamps ? device.createQuerySet({ type: 'timestamp', count: 2 }) : null;
    const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
    return { querySet: set, resolved: device.createBuffer({ size: 16, usage }) };
  });
  return {
    clock: stamps ? 'timestamp' : 'wall',
    async time() {
      const commands = guard.note('a timed pass', () => {
        const encoder = device.createCommandEncoder();
        const repeated = Array.from({ length: repeats }, () => calls).flat();
        recordCalls(encoder, repeated, querySet ? { querySet, before: 0, after: 1 } : undefined);
        if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
        return encoder.finish();
      });
      const start = performance.now();
      guard.note('a timed submit', () => device.queue.submit([commands]));
      await guard.until('a timed submit', () => device.queue.onSubmittedWorkDone());
      const wall = performance.now() - start;
      await guard.hear();
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

/** The middle of the values, or of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
