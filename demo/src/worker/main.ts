// The worker: owns the device, runs what the page asks for, and tells it how far it is.
import { DeviceLostError } from 'lloyd';
import type { Calls, FromWorker, ToWorker } from '../protocol.ts';
import { clusterSteps } from './cluster-steps.ts';
import { classify, compare } from './compare.ts';
import { inspect, values } from './inspect.ts';
import { checkNetwork, writeNetwork } from './own-check.ts';
import { openNetwork } from './own-network.ts';
import { profile } from './profile.ts';
import { review } from './review.ts';
import { open, type State, useImages } from './state.ts';

export interface Context<K extends keyof Calls> {
  state: State;
  signal: AbortSignal;
  progress(progress: Calls[K]['progress']): void;
}

type Handlers = {
  [K in keyof Calls]: (request: Calls[K]['request'], context: Context<K>) => Promise<Calls[K]['result']>;
};

const handlers: Handlers = {
  open: async ({ base }, { progress }) => {
    const opened = await open(
      base,
      progress,
      (why) => post({ lost: why }),
      (why) => post({ recovered: why }),
    );
    state = opened.state;
    return opened.report;
  },
  useImages,
  compare,
  review,
  classify,
  inspect,
  clusterSteps,
  values,
  profile,
  openNetwork,
  checkNetwork,
  writeNetwork,
  // With every shader of the library, used here or not.
  source: async (request) => (await import('./source.ts')).source(request),
  // tfjs is three times the page: it loads when its panel first runs.
  tensorBench: async (request, context) => (await import('./tfjs-bench.ts')).tensorBench(request, context),
};

// One at a time: the page shows timings of some, which another would disturb.
const heavy: readonly (keyof Calls)[] = [
  'compare',
  'classify',
  'inspect',
  'profile',
  'tensorBench',
  'openNetwork',
  'checkNetwork',
];

let state: State | undefined;
let queue: Promise<unknown> = Promise.resolve();
let queued = 0;
const running = new Map<number, AbortController>();
const post = (message: FromWorker) => (self as unknown as Worker).postMessage(message);

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  if ('loseDevice' in data) return state?.runtime.device.destroy();
  if ('cancel' in data) return running.get(data.id)?.abort();
  const { id, call, request } = data;
  const controller = new AbortController();
  const { signal } = controller;
  running.set(id, controller);
  try {
    const handler = handlers[call] as (request: unknown, context: unknown) => Promise<unknown>;
    const progress = (step: unknown) => post({ id, progress: step });
    const attempt = () => handler(request, { state, signal, progress });
    const run = async () => {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof DeviceLostError) || !state) throw error;
        await state.renew(error);
        return attempt();
      }
    };
    post({ id, result: await (heavy.includes(call) ? inTurn(id, signal, run) : run()) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    post({ id, error: { name, message } });
  } finally {
    running.delete(id);
  }
};

/** Runs one call at a time; one that is cancelled while it waits leaves the queue at once. */
function inTurn(id: number, signal: AbortSignal, run: () => Promise<unknown>): Promise<unknown> {
  if (queued++ > 0) post({ id, waiting: true });
  return new Promise((resolve, reject) => {
    let waiting = true;
    signal.addEventListener('abort', () => waiting && reject(signal.reason), { once: true });
    queue = queue.then(async () => {
      waiting = false;
      try {
        signal.throwIfAborted();
        resolve(await run());
      } catch (error) {
        reject(error);
      } finally {
        queued--;
      }
    });
  });
}
