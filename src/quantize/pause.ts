/** Host work, in milliseconds, after which the event loop gets a turn. */
const TURN = 16;

/** Waits for the event loop where it has not run for a while, and throws the reason of a signal that has fired. */
export type Pause = () => Promise<void>;

/**
 * A pause for long work on the host: without a turn of the event loop no signal could fire, and a page would stand still.
 *
 * @example
 * const pause = createPause(signal);
 * for (const segment of segments) {
 *   await pause();
 *   solve(segment);
 * }
 */
export function createPause(signal?: AbortSignal): Pause {
  let last = performance.now();
  return async () => {
    signal?.throwIfAborted();
    if (performance.now() - last < TURN) return;
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
    signal?.throwIfAborted();
  };
}
