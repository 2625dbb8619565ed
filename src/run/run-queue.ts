import { abortable } from '../gpu/abort.ts';

/** Work that shares buffers, one piece at a time and in order. */
export interface RunQueue {
  /** Nothing is under way: what is added now begins before `add` returns. */
  readonly idle: boolean;
  /**
   * @returns what the work comes to; rejects at once, in the queue or under way, when the signal fires or the queue is
   *   closed
   */
  add<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Answers all that is under way or added later with the error that `reason` makes. */
  close(reason: () => Error): void;
}

/** Makes an empty {@link RunQueue}. */
export function createRunQueue(): RunQueue {
  const closing = new AbortController();
  let why: (() => Error) | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let count = 0;
  const start = async <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    try {
      signal?.throwIfAborted();
      closing.signal.throwIfAborted();
      return await work();
    } finally {
      count--;
    }
  };
  return {
    get idle() {
      return count === 0;
    },
    async add(work, signal) {
      if (why) throw why();
      const idle = count++ === 0;
      const result = idle ? start(work, signal) : last.then(() => start(work, signal));
      last = result.catch(() => undefined);
      return abortable(abortable(result, signal), closing.signal);
    },
    close(reason) {
      why = reason;
      closing.abort(reason());
    },
  };
}
