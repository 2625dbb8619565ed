import { expect, test } from 'vitest';
import { spreadPolls } from '../../src/node/polling.ts';

const WAIT_MS = 60;
const EAGER_MS = 5;
const polls: number[] = [];

/** Waits as Dawn does: it looks `setImmediate` up whenever it polls. */
function mapAsync(): Promise<void> {
  const start = performance.now();
  return new Promise((resolve) => {
    const poll = () => {
      polls.push(performance.now() - start);
      if (polls.at(-1)! >= WAIT_MS) resolve();
      else globalThis.setImmediate(poll);
    };
    globalThis.setImmediate(poll);
  });
}

test('polls are eager first and then a millisecond apart; setImmediate stays what it is for everyone else', async () => {
  const classes = ['GPUBuffer', 'GPUQueue', 'GPUDevice'].map((name) => [name, class {}] as const);
  Object.assign(globalThis, Object.fromEntries(classes));
  Object.assign(GPUBuffer.prototype, { mapAsync });
  const own = globalThis.setImmediate;
  const spun = async () => {
    polls.length = 0;
    await new GPUBuffer().mapAsync(1);
    return polls.filter((at) => at > EAGER_MS).length;
  };
  expect(await spun()).toBeGreaterThan(WAIT_MS);
  spreadPolls();
  spreadPolls();
  const waiting = new GPUBuffer().mapAsync(1);
  expect(globalThis.setImmediate).toBe(own);
  await waiting;
  expect(await spun()).toBeLessThanOrEqual(WAIT_MS - EAGER_MS + 1);
  expect(globalThis.setImmediate).toBe(own);
});
