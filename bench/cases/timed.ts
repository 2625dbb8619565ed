import type { Call } from '../../src/gpu/call.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { createTimer } from '../../src/tune/timer.ts';
import type { Opened } from '../types.ts';

/** Dispatches of a sample must outlast the clock's grain (100 us in browsers) and the submit around them. */
const SAMPLE_MS = 20;
const MOST_REPEATS = 200;

/** The timed part of an {@link Opened}: `calls` again and again in one submit, by the GPU's own clock. */
export async function timedCalls(
  runtime: Runtime,
  calls: readonly Call[],
): Promise<Pick<Opened, 'run' | 'gpuTime' | 'clock'> & { stop(): void }> {
  const once = createTimer(runtime, calls, 1);
  // The first run compiles; the second says how many fill a sample.
  await once.time();
  const estimate = await once.time();
  once.close();
  const repeats = Math.max(1, Math.min(MOST_REPEATS, Math.ceil(SAMPLE_MS / Math.max(estimate, 1e-3))));
  const timer = createTimer(runtime, calls, repeats);
  return {
    run: () => timer.time(),
    gpuTime: () => timer.time(),
    clock: timer.clock,
    stop: () => timer.close(),
  };
}
