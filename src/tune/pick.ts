import type { Call } from '../gpu/call.ts';
import { DeviceLostError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { createTimer, median, type Timer } from './timer.ts';

/** One way to do a piece of work. */
export interface Candidate<T> {
  /** What a cache keeps of it: the same words for the same choice in every run. */
  label: string;
  choice: T;
}

/** A candidate with pipelines, buffers and input, ready to run. */
export interface Prepared {
  calls: readonly Call[];
  /** The output after a run. */
  output(): Promise<ArrayBuffer>;
  destroy(): void;
}

/** What {@link pickCandidate} needs to know. */
export interface PickOptions<T> {
  /** The first is the default: it wins unless another is measurably faster. */
  candidates: readonly Candidate<T>[];
  prepare(choice: T): Promise<Prepared>;
  /** Whether an output is as good as the default's; equal bytes unless given. */
  agrees?(output: ArrayBuffer, expected: ArrayBuffer): boolean;
  /** `performance.now()` after which no further candidate is tried, but for the first `least` (default 2). */
  deadline: number;
  least?: number;
  signal?: AbortSignal;
}

/** The winner, and what it was measured against. */
export interface Picked<T> {
  candidate: Candidate<T>;
  milliseconds: number;
  defaultMilliseconds: number;
  /** How many were timed before the deadline, the default included. */
  timed: number;
  /** Labels of candidates that failed to compile or computed something else. */
  refused: string[];
}

/** A sample must outlast the clock's grain and the submit around it. */
const SAMPLE_MS = 4;
/** Samples of a median: fewer where one is long, which says by itself that little disturbs it. */
const samplesOf = (milliseconds: number) => (milliseconds > 50 ? 3 : 5);
/** What takes so much longer than the best so far is not measured further. */
const HOPELESS = 1.3;
/** A smaller gain than this is within what a clock shows from run to run. */
const LEAST_GAIN = 1.03;

/**
 * Times candidates on the same input and takes the fastest whose output agrees with the default's. The winner and the
 * default are then timed once more in turns: what looked faster only because the machine was quieter loses there.
 *
 * @throws what the default throws, or a lost device; another candidate's failure only refuses that candidate. The
 *   signal's reason where it fires before `least` are known; later it ends the search as the deadline does
 * @example
 * const { candidate } = await pickCandidate(runtime, {
 *   candidates: [32, 64].map((size) => ({ label: `WORKGROUP_SIZE=${size}`, choice: size })),
 *   prepare: async (size) => bindWith(size),
 *   deadline: performance.now() + 1000,
 * });
 */
export async function pickCandidate<T>(runtime: Runtime, options: PickOptions<T>): Promise<Picked<T>> {
  const { candidates, prepare, agrees = equalBytes, deadline, least = 2, signal } = options;
  const [first, ...others] = candidates;
  const base = await open(runtime, await prepare(first.choice), signal);
  let best = { candidate: first, milliseconds: 0 };
  const refused: string[] = [];
  let timed = 1;
  const enough = () => timed + refused.length >= least;
  try {
    const expected = await base.prepared.output();
    const baseline = await sample(base, Infinity, signal);
    best.milliseconds = baseline;
    for (const candidate of others) {
      if (enough() && (signal?.aborted || performance.now() >= deadline)) break;
      signal?.throwIfAborted();
      let tried: Open | undefined;
      try {
        tried = await open(runtime, await prepare(candidate.choice), signal);
        if (!agrees(await tried.prepared.output(), expected)) {
          refused.push(candidate.label);
          continue;
        }
        const milliseconds = await sample(tried, best.milliseconds, signal);
        if (milliseconds * LEAST_GAIN < best.milliseconds) {
          const [own, rival] = await inTurns(tried, base, signal);
          if (own * LEAST_GAIN < rival) best = { candidate, milliseconds: Math.min(milliseconds, own) };
        }
        timed++;
      } catch (error) {
        if (error instanceof DeviceLostError) throw error;
        if (signal?.aborted) {
          if (enough()) break;
          throw error;
        }
        refused.push(candidate.label);
        // It failed for itself alone: what else the GPU reports of it is no news.
        await guardOf(runtime.device)
          .hear()
          .catch(() => undefined);
      } finally {
        if (tried) close(tried);
      }
    }
    return { ...best, defaultMilliseconds: baseline, timed, refused };
  } finally {
    close(base);
  }
}

interface Open {
  prepared: Prepared;
  timer: Timer;
  /** Milliseconds of the first run that had nothing left to compile. */
  first: number;
}

/** Runs once, which compiles and leaves an output, then sizes the samples. */
async function open(runtime: Runtime, prepared: Prepared, signal?: AbortSignal): Promise<Open> {
  let once: Timer | undefined;
  try {
    once = createTimer(runtime, prepared.calls, 1);
    await once.time();
    signal?.throwIfAborted();
    const first = await once.time();
    const repeats = Math.max(1, Math.min(100, Math.ceil(SAMPLE_MS / Math.max(first, 1e-3))));
    return { prepared, timer: createTimer(runtime, prepared.calls, repeats), first };
  } catch (error) {
    prepared.destroy();
    throw error;
  } finally {
    once?.close();
  }
}

function close({ prepared, timer }: Open): void {
  timer.close();
  prepared.destroy();
}

/** The median of a few samples; one alone where that is already far behind `rival`. */
async function sample({ timer, first }: Open, rival: number, signal?: AbortSignal): Promise<number> {
  if (first > rival * HOPELESS) return first;
  // A long run is a sample itself; a short one is mostly its submit.
  const times = first > SAMPLE_MS ? [first] : [];
  while (times.length < samplesOf(first)) {
    signal?.throwIfAborted();
    times.push(await timer.time());
  }
  return median(times);
}

/** Both medians, sampled alternately, so that what else the machine does meets both. */
async function inTurns(a: Open, b: Open, signal?: AbortSignal): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < samplesOf(a.first); i++) {
    signal?.throwIfAborted();
    times[0].push(await a.timer.time());
    times[1].push(await b.timer.time());
  }
  return [median(times[0]), median(times[1])];
}

function equalBytes(a: ArrayBuffer, b: ArrayBuffer): boolean {
  if (a.byteLength !== b.byteLength) return false;
  const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
  return x.every((byte, i) => byte === y[i]);
}
