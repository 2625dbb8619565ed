/**
 * Dawn in Node asks whether what a promise waits for is done in every turn of the event loop, so that waiting keeps a
 * core busy (crbug.com/dawn/1127). Where the processor is the adapter, that core is a third of it or more: there the
 * turns are spread out.
 */

/** What is done sooner is asked for in every turn, as a timer waits longer than it is told. */
const EAGER_MS = 1;
const PAUSE_MS = 1;

const SPREAD = Symbol.for('lloyd.polls');

type Method = (...given: unknown[]) => unknown;

/**
 * Spreads out the polls of every device of Dawn's in this process: eager for a millisecond, then one a millisecond.
 * Dawn's classes must be on `globalThis`. Calling it again does nothing.
 */
export function spreadPolls(): void {
  const home = globalThis as { [SPREAD]?: true };
  if (home[SPREAD]) return;
  home[SPREAD] = true;
  const { setImmediate: soon, setTimeout: later } = globalThis;
  let asked = 0;
  // Dawn looks `setImmediate` up by name, each time anew, and only while one of its functions runs.
  const polling = <T>(run: () => T): T => {
    const before = globalThis.setImmediate;
    globalThis.setImmediate = ((poll: () => void) => {
      const turn = () => polling(poll);
      return performance.now() - asked < EAGER_MS ? soon(turn) : later(turn, PAUSE_MS);
    }) as unknown as typeof setImmediate;
    try {
      return run();
    } finally {
      globalThis.setImmediate = before;
    }
  };
  const spread = (owner: object, name: string) => {
    const methods = owner as Record<string, Method>;
    const own = methods[name];
    methods[name] = function (this: unknown, ...given: unknown[]) {
      asked = performance.now();
      return polling(() => own.apply(this, given));
    };
  };
  spread(GPUBuffer.prototype, 'mapAsync');
  spread(GPUQueue.prototype, 'onSubmittedWorkDone');
  for (const name of ['popErrorScope', 'createComputePipelineAsync', 'createRenderPipelineAsync'])
    spread(GPUDevice.prototype, name);
}
