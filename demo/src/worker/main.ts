// The worker: owns the device, runs what the page asks for, and tells it how far it is.
import type { Calls, FromWorker, ToWorker } from '../protocol.ts';
import { clusterSteps } from './cluster-steps.ts';
import { classify, compare } from './compare.ts';
import { inspect } from './inspect.ts';
import { profile } from './profile.ts';
import { images, open, type State, useImages } from './state.ts';

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
    const opened = await open(base, progress, (why) => post({ lost: why }));
    state = opened.state;
    return opened.report;
  },
  images,
  useImages,
  compare,
  classify,
  inspect,
  clusterSteps,
  profile,
  // tfjs is three times the page: it loads when its panel first runs.
  tensorBench: async (request, context) => (await import('./tfjs-bench.ts')).tensorBench(request, context),
};

let state: State | undefined;
const running = new Map<number, AbortController>();
const post = (message: FromWorker) => (self as unknown as Worker).postMessage(message);

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  if ('loseDevice' in data) return state?.runtime.device.destroy();
  if ('cancel' in data) return running.get(data.id)?.abort();
  const { id, call, request } = data;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const handler = handlers[call] as (request: unknown, context: unknown) => Promise<unknown>;
    const progress = (step: unknown) => post({ id, progress: step });
    post({ id, result: await handler(request, { state, signal: controller.signal, progress }) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    post({ id, error: { name, message } });
  } finally {
    running.delete(id);
  }
};
