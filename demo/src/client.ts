import type { Calls, FromWorker, ToWorker } from './protocol.ts';

/** The worker that holds the device, as functions of a request. */
export interface Client {
  call<K extends keyof Calls>(
    name: K,
    request: Calls[K]['request'],
    options?: {
      onProgress?: (progress: Calls[K]['progress']) => void;
      /** Told when the call has to wait for an earlier one. */
      onWait?: () => void;
      signal?: AbortSignal;
    },
  ): Promise<Calls[K]['result']>;
  close(): void;
}

interface Pending {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
  onProgress?(progress: never): void;
  onWait?(): void;
}

/**
 * Starts a worker; `onLost` is told when its device or the worker itself is gone, `onRecovered` when the worker has
 * replaced a lost device by itself.
 */
export function startWorker(onLost: (why: string) => void, onRecovered: (why: string) => void): Client {
  const worker = new Worker(new URL('./worker/main.ts', import.meta.url), { type: 'module', name: 'lloyd' });
  const pending = new Map<number, Pending>();
  let next = 1;
  let closed = false;
  const gone = () => new DOMException('the device was lost', 'AbortError');
  const send = (message: ToWorker) => worker.postMessage(message);
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if ('lost' in data) return onLost(data.lost);
    if ('recovered' in data) return onRecovered(data.recovered);
    const waiting = pending.get(data.id);
    if (!waiting) return;
    if ('waiting' in data) return waiting.onWait?.();
    if ('progress' in data) return waiting.onProgress?.(data.progress as never);
    pending.delete(data.id);
    if ('error' in data)
      waiting.reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
    else waiting.resolve(data.result);
  };
  worker.onerror = (event) => {
    onLost(event.message || 'the worker could not start');
    for (const { reject } of pending.values()) reject(new Error(event.message));
    pending.clear();
  };
  return {
    call(name, request, { onProgress, onWait, signal } = {}) {
      if (closed) return Promise.reject(gone());
      const id = next++;
      signal?.addEventListener('abort', () => send({ id, cancel: true }), { once: true });
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve: resolve as (value: unknown) => void, reject, onProgress, onWait });
        send({ id, call: name, request });
      });
    },
    close() {
      closed = true;
      worker.terminate();
      for (const { reject } of pending.values()) reject(gone());
      pending.clear();
    },
  };
}
