import type { Call } from '../../src/gpu/call.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';

/** A public operation stopped before it reads its result: its dispatches can be timed, then it goes on. */
export interface Held<T> {
  calls: readonly Call[];
  /** Lets the operation finish; its result. */
  release(): Promise<T>;
}

/**
 * Runs an operation of level 2 until the submit that holds `kernel`, and stops it at the read that follows.
 *
 * Cases time the very dispatches that users get, with the tiles and slices that the library chose for the adapter,
 * and need to know nothing of buffer layouts.
 */
export async function hold<T>(
  runtime: Runtime,
  kernel: RegExp,
  operation: (runtime: Runtime) => Promise<T>,
): Promise<Held<T>> {
  let calls: readonly Call[] | undefined;
  let reached = () => {};
  let goOn = () => {};
  const stopped = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const held: Runtime = {
    ...runtime,
    submit(submitted) {
      if (!calls && submitted.some((call) => kernel.test(call.kernel))) calls = submitted;
      runtime.submit(submitted);
    },
    async read(...what) {
      if (calls) {
        reached();
        await gate;
      }
      return runtime.read(...what);
    },
  };
  const result = operation(held);
  // Without a matching submit, or when it fails before one, the operation itself ends the wait.
  await Promise.race([stopped, result]);
  if (!calls) throw new Error(`the operation submitted nothing like ${kernel}`);
  return {
    calls,
    release() {
      goOn();
      return result;
    },
  };
}
