import { DeviceLostError, LloydError } from './errors.ts';

/** Why a device is gone. */
export interface DeviceLoss {
  /** `destroyed` by this program, or `unknown`: a driver that crashed or was updated, a card that was taken away. */
  reason: 'destroyed' | 'unknown';
  message: string;
}

/** What some GPU calls gave, and the error that they raised, which comes later; the promise never rejects. */
export interface Watched<T> {
  value: T;
  fault: Promise<LloydError | null>;
}

/**
 * Hears every error of a device. WebGPU reports most of them late and beside the call: an invalid buffer reads as zeros,
 * a lost device runs nothing without a word. All GPU calls of this library go through here.
 */
export interface DeviceGuard {
  readonly lost: Promise<DeviceLoss>;
  /** @throws DeviceLostError once the device is gone */
  alive(): void;
  /** Runs GPU calls; what they throw becomes a LloydError about `what`. */
  attempt<T>(what: string, use: () => T): T;
  /** As `attempt`, within error scopes: the caller looks at `fault` before it hands anything out. */
  watch<T>(what: string, use: () => T): Watched<T>;
  /** As `watch`, but every operation under way hears the fault: see `operation` and `hear`. */
  note<T>(what: string, use: () => T): T;
  /** What `start` promises; rejects as soon as the device is gone, and with a LloydError about `what` else. */
  until<T>(what: string, start: () => Promise<T>): Promise<T>;
  /** Runs `use`; an error that any of the device's calls raised meanwhile is thrown instead of its result. */
  operation<T>(use: () => Promise<T>): Promise<T>;
  /** What to throw for an error: itself, or the loss that is behind it, which a device may tell of later. */
  explain(error: unknown): Promise<unknown>;
  /** Waits for the verdict on all that was noted; throws what an operation under way, or nobody yet, has to hear. */
  hear(): Promise<void>;
  /** As `hear`, without waiting: throws what nobody has heard yet. */
  checkStray(): void;
  /** An error that no scope has caught. */
  blame(fault: LloydError): void;
  /** Says that the device has been destroyed on purpose, before the device itself does. */
  lose(loss: DeviceLoss): void;
}

const FILTERS = ['internal', 'out-of-memory', 'validation'] as const;
/** A call that fails because the device is gone may do so before the device says that it is. */
const GRACE_MS = 50;

const guards = new WeakMap<GPUDevice, DeviceGuard>();

/** The guard of a device: one, however many runtimes and kernels share the device. */
export function guardOf(device: GPUDevice): DeviceGuard {
  let guard = guards.get(device);
  if (!guard) {
    guard = createGuard(device);
    guards.set(device, guard);
  }
  return guard;
}

interface Operation {
  start: number;
  fault?: LloydError;
}

function createGuard(device: GPUDevice): DeviceGuard {
  let loss: DeviceLoss | undefined;
  let tell: (loss: DeviceLoss) => void;
  const lost = new Promise<DeviceLoss>((resolve) => {
    tell = resolve;
  });
  /** What is told of the loss: a `Promise.race` with `lost` would grow its list of listeners for ever. */
  const waiting = new Set<() => void>();
  const lose = (why: DeviceLoss) => {
    if (loss) return;
    loss = why;
    tell(why);
    for (const wake of waiting) wake();
    waiting.clear();
  };
  device.lost.then(
    ({ reason, message }) => lose({ reason: reason === 'destroyed' ? reason : 'unknown', message }),
    (cause) => lose({ reason: 'unknown', message: messageOf(cause) }),
  );

  const lostError = (cause?: unknown) => new DeviceLostError(loss!, { cause });
  const alive = () => {
    if (loss) throw lostError();
  };
  /** Errors whose cause may be a loss that the device has not told of yet. */
  const unexplained = new WeakSet<LloydError>();
  const failure = (what: string, cause: unknown) => {
    if (cause instanceof LloydError) return cause;
    if (loss) return lostError(cause);
    const error = new LloydError(
      `the GPU must manage ${what}`,
      messageOf(cause),
      'if memory is short, use a smaller batch or destroy what is no longer needed',
      { cause },
    );
    unexplained.add(error);
    return error;
  };
  const attempt = <T>(what: string, use: () => T): T => {
    alive();
    try {
      return use();
    } catch (cause) {
      throw failure(what, cause);
    }
  };

  const watch = <T>(what: string, use: () => T): Watched<T> => {
    alive();
    const scopes: Promise<GPUError | null>[] = [];
    let open = 0;
    try {
      for (const filter of FILTERS) {
        device.pushErrorScope(filter);
        open++;
      }
      const value = use();
      while (open > 0) {
        open--;
        scopes.push(device.popErrorScope());
      }
      return { value, fault: verdict(what, scopes) };
    } catch (cause) {
      while (open-- > 0) quietly(() => scopes.push(device.popErrorScope()));
      for (const scope of scopes) scope.catch(() => null);
      throw failure(what, cause);
    }
  };
  /** The gravest of what the scopes caught: `scopes` come in the reverse of {@link FILTERS}. */
  const verdict = async (what: string, scopes: Promise<GPUError | null>[]): Promise<LloydError | null> => {
    const results = await unlessLost(Promise.allSettled(scopes));
    // A device that is gone may not say; whoever waits for a result hears of the loss.
    if (!results || loss) return null;
    for (const [i, result] of results.toReversed().entries()) {
      if (result.status === 'rejected') return failure(what, result.reason);
      if (result.value) return scopeError(what, FILTERS[i], result.value);
    }
    return null;
  };

  /** What the promise comes to, which never rejects; undefined once the device is gone. */
  const unlessLost = <T>(promise: Promise<T>): Promise<T | undefined> =>
    new Promise((resolve) => {
      const wake = () => resolve(undefined);
      if (loss) return wake();
      waiting.add(wake);
      promise.then((value) => {
        waiting.delete(wake);
        resolve(value);
      });
    });

  const active = new Set<Operation>();
  const pending = new Set<Promise<void>>();
  let clock = 0;
  let stray: LloydError | undefined;
  const blame = (fault: LloydError, at = ++clock) => {
    let heard = false;
    for (const operation of active) {
      if (operation.start >= at) continue;
      operation.fault ??= fault;
      heard = true;
    }
    if (!heard) stray ??= fault;
  };
  const checkStray = () => {
    const fault = stray;
    stray = undefined;
    if (fault) throw fault;
  };
  const settled = async () => {
    while (pending.size > 0) await Promise.all(pending);
  };

  const explain = async (error: unknown) => {
    if (!(error instanceof LloydError && unexplained.has(error))) return error;
    if (!loss) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, GRACE_MS);
        waiting.add(done);
        function done() {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
      });
    }
    return loss ? lostError(error.cause) : error;
  };

  return {
    lost,
    alive,
    attempt,
    watch,
    note(what, use) {
      const at = ++clock;
      const { value, fault } = watch(what, use);
      const heard = fault.then((error) => {
        pending.delete(heard);
        if (error) blame(error, at);
      });
      pending.add(heard);
      return value;
    },
    until<T>(what: string, start: () => Promise<T>) {
      return new Promise<T>((resolve, reject) => {
        const wake = () => reject(lostError());
        waiting.add(wake);
        let started: Promise<T>;
        try {
          started = attempt(what, start);
        } catch (error) {
          waiting.delete(wake);
          return explain(error).then(reject);
        }
        started.then(
          (value) => {
            waiting.delete(wake);
            resolve(value);
          },
          async (cause) => {
            waiting.delete(wake);
            reject(await explain(failure(what, cause)));
          },
        );
      });
    },
    async operation<T>(use: () => Promise<T>) {
      alive();
      const own: Operation = { start: ++clock };
      active.add(own);
      try {
        const result = await use();
        await settled();
        if (own.fault) throw own.fault;
        // What a device that is gone computed last may have had errors that it did not live to report.
        alive();
        return result;
      } catch (error) {
        await settled();
        // What was computed from nothing may fail in any way; the reason is the GPU's error.
        if (own.fault) throw own.fault;
        throw loss && !(error instanceof LloydError) ? lostError(error) : await explain(error);
      } finally {
        active.delete(own);
      }
    },
    explain,
    async hear() {
      await settled();
      alive();
      for (const { fault } of active) if (fault) throw fault;
      checkStray();
    },
    checkStray,
    blame,
    lose,
  };
}

/** A LloydError about an error that WebGPU reported of `what`. */
export function scopeError(
  what: string,
  filter: GPUErrorFilter,
  { message }: Pick<GPUError, 'message'>,
): LloydError {
  const options = { cause: new Error(message) };
  const [line] = message.split('\n');
  if (filter === 'out-of-memory') {
    return new LloydError(
      `the GPU must have memory for ${what}`,
      line || 'out of memory',
      'use a smaller batch or model, or destroy what is no longer needed',
      options,
    );
  }
  if (filter === 'internal') {
    return new LloydError(
      `the driver must manage ${what}`,
      line || 'an internal error',
      "update the graphics driver, or choose other kernels (compile's option kernels)",
      options,
    );
  }
  return new LloydError(
    `${what} must be valid for WebGPU`,
    line || 'a validation error',
    'check that no buffer in use was destroyed, or could not be made, before',
    options,
  );
}

function quietly(use: () => void): void {
  try {
    use();
  } catch {
    // The first error is the one to report.
  }
}

const messageOf = (cause: unknown) => {
  if (!(cause instanceof Error)) return String(cause);
  return cause.message ? `${cause.name}: ${cause.message}` : cause.name;
};
