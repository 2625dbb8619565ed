import type { Call } from '../gpu/call.ts';
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
 * @throws what the default throws; another candidate's failure only refuses that candidate
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
  const base = await open(runtime, await prepare(first.choice));
  let best = { candidate: first, milliseconds: 0 };
  const refused: string[] = [];
  let timed = 1;
  try {
    const expected = await base.prepared.output();
    const baseline = await sample(base, Infinity);
    best.milliseconds = baseline;
    for (const candidate of others) {
      signal?.throwIfAborted();
      if (timed + refused.length >= least && performance.now() >= deadline) break;
      const tried = await attempt(runtime, candidate, prepare);
      if (!tried) {
        refused.push(candidate.label);
        continue;
      }
      try {
        if (!agrees(await tried.prepared.output(), expected)) {
          refused.push(candidate.label);
          continue;
        }
        timed++;
        const milliseconds = await sample(tried, best.milliseconds);
        if (milliseconds * LEAST_GAIN >= best.milliseconds) continue;
        const [own, rival] = await inTurns(tried, base);
        if (own * LEAST_GAIN < rival) best = { candidate, milliseconds: Math.min(milliseconds, own) };
      } finally {
        close(tried);
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
async function open(runtime: Runtime, prepared: Prepared): Promise<Open> {
  const once = createTimer(runtime, prepared.calls, 1);
  try {
    await once.time();
    const first = await once.time();
    const repeats = Math.max(1, Math.min(100, Math.ceil(SAMPLE_MS / Math.max(first, 1e-3))));
    return { prepared, timer: createTimer(runtime, prepared.calls, repeats), first };
  } catch (error) {
    prepared.destroy();
    throw error;
  } finally {
    once.close();
  }
}

async function attempt<T>(
  runtime: Runtime,
  { choice }: Candidate<T>,
  prepare: (choice: T) => Promise<Prepared>,
): Promise<Open | null> {
  try {
    return await open(runtime, await prepare(choice));
  } catch {
    return null;
  }
}

function close({ prepared, timer }: Open): void {
  timer.close();
  prepared.destroy();
}

/** The median of a few samples; one alone where that is already far behind `rival`. */
async function sample({ timer, first }: Open, rival: number): Promise<number> {
  if (first > rival * HOPELESS) return first;
  // A long run is a sample itself; a short one is mostly its submit.
  const times = first > SAMPLE_MS ? [first] : [];
  while (times.length < samplesOf(first)) times.push(await timer.time());
  return median(times);
}

/** Both medians, sampled alternately, so that what else the machine does meets both. */
async function inTurns(a: Open, b: Open): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < samplesOf(a.first); i++) {
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
