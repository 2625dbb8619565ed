import { disagreement } from './compare-logits.ts';
import { isBeside } from './report.ts';
import { interleave, type Sample, speedup, timingOf } from './timing.ts';
import type { BenchCase, BenchContext, Ceilings, Entry, Opened, Ratio, Refusal, Subject } from './types.ts';
import { Unavailable } from './unavailable.ts';

export interface RunOptions {
  ceilings: Ceilings;
  quick: boolean;
  /** Rounds at least. */
  rounds?: number;
  /** Words that must all occur in a subject's label; see {@link label}. */
  filter?: string;
  /** Who else does a case's work; none unless given. */
  peersOf?(benchCase: BenchCase, context: BenchContext): readonly Subject[];
  onStart?(what: string): void;
  /** With everything so far, this entry included. */
  onEntry?(entry: Entry, sofar: Sofar): unknown;
  onRefusal?(refusal: Refusal, sofar: Sofar): unknown;
  /** Between two works: nothing is being timed. */
  onPause?(): unknown;
  signal?: AbortSignal;
  /** `performance.now()` after which no further subject is started; each is refused, so that the results say so. */
  deadline?: number;
}

interface Sofar {
  cases: Entry[];
  refused: Refusal[];
}

/**
 * Runs cases one after another. Those who do the same work on the same batch are opened together, ours before the
 * peers, and timed in turn, round by round; one's failure never ends the others'. An interruption keeps the rounds that
 * were done.
 */
export async function runCases(
  context: BenchContext,
  cases: readonly BenchCase[],
  options: RunOptions,
): Promise<Sofar> {
  const sofar: Sofar = { cases: [], refused: [] };
  for (const benchCase of cases) {
    const subjects = [...benchCase.subjects, ...(options.peersOf?.(benchCase, context) ?? [])];
    for (const rivals of byBatch(subjects)) {
      options.signal?.throwIfAborted();
      const asked = rivals.filter((subject) =>
        matches(label({ ...subject, name: benchCase.name }), options.filter),
      );
      if (asked.length === 0) continue;
      await runRivals(context, benchCase, asked, sofar, options);
      options.signal?.throwIfAborted();
      await options.onPause?.();
    }
  }
  return sofar;
}

/** What a filter is held against: `vgg-forward int8 batch=32 lloyd`. */
export function label({ name, implementation, precision, batch }: Omit<Refusal, 'reason'>): string {
  return `${name} ${precision} batch=${batch} ${implementation}`;
}

export function matches(subject: string, filter = ''): boolean {
  const within = subject.toLowerCase();
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => within.includes(word));
}

/** Batches in the order they first appear. */
function byBatch(subjects: readonly Subject[]): Subject[][] {
  const batches = [...new Set(subjects.map(({ batch }) => batch))];
  return batches.map((batch) => subjects.filter((subject) => subject.batch === batch));
}

/** A subject that is ready to be timed. */
interface Rival {
  subject: Subject;
  opened: Opened;
}

async function runRivals(
  context: BenchContext,
  benchCase: BenchCase,
  subjects: readonly Subject[],
  sofar: Sofar,
  options: RunOptions,
): Promise<void> {
  const { ceilings, quick, rounds, signal } = options;
  const keyOf = ({ implementation, precision, batch }: Subject) => ({
    ...{ name: benchCase.name, implementation, precision, batch },
  });
  const refuse = async (subject: Subject, error: unknown) => {
    // What an interruption fails is no case's own failure.
    signal?.throwIfAborted();
    const refusal: Refusal = {
      ...keyOf(subject),
      reason: (error as Error).message.split('\n')[0],
      ...(error instanceof Unavailable && { unavailable: true as const }),
    };
    sofar.refused.push(refusal);
    await options.onRefusal?.(refusal, sofar);
  };
  const fp32 = new Map<number, Promise<Float32Array>>();
  const rivals: Rival[] = [];
  try {
    for (const subject of subjects) {
      signal?.throwIfAborted();
      options.onStart?.(label(keyOf(subject)));
      try {
        if (performance.now() > (options.deadline ?? Number.POSITIVE_INFINITY))
          throw new Error('the time given to this run was over');
        rivals.push({ subject, opened: await openWarm(context, benchCase, subject, fp32) });
      } catch (error) {
        await refuse(subject, error);
      }
    }
    const sampled = await interleave(
      rivals.map(({ opened }) => opened),
      { quick, rounds, signal },
    );
    const timed = rivals.map((rival, at) => ({ ...rival, ...sampled[at] }));
    for (const { subject, opened, samples, failure } of timed) {
      if (failure !== undefined) await refuse(subject, failure);
      else if (samples.length > 0) {
        const timing = timingOf(samples);
        const ratios = subject.implementation === 'lloyd' ? ratiosOf({ subject, samples }, timed) : [];
        const entry: Entry = {
          ...keyOf(subject),
          ...timing,
          clock: opened.clock ?? 'wall',
          throughput: throughput(opened, timing.medianMs),
          ceilingShare: opened.bound
            ? opened.bound.amount / timing.medianMs / 1e6 / ceilings[opened.bound.ceiling]
            : null,
          ...(ratios.length > 0 && { ratios }),
          ...(opened.output && { hash: await sha256(await opened.output()) }),
          ...(opened.note && { note: opened.note }),
        };
        sofar.cases.push(entry);
        await options.onEntry?.(entry, sofar);
      }
    }
  } finally {
    for (const { opened } of rivals) await opened.close();
  }
}

/** Opens a subject and runs it once, and holds its result against ours where there is one to hold. */
async function openWarm(
  context: BenchContext,
  benchCase: BenchCase,
  subject: Subject,
  fp32: Map<number, Promise<Float32Array>>,
): Promise<Opened> {
  const { implementation, precision, batch } = subject;
  const opened = await subject.open(context);
  try {
    await opened.before?.();
    const logits = opened.logits && (await opened.logits()).slice();
    if (!logits) await (opened.gpuTime ?? opened.run)();
    else if (implementation === 'lloyd' && precision === 'fp32') fp32.set(batch, Promise.resolve(logits));
    else if (implementation !== 'lloyd' && precision === 'fp32') {
      const reason = disagreement(logits, await reference(context, benchCase, batch, fp32));
      if (reason) throw new Error(`it disagrees with our fp32: ${reason}`);
    }
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

type Timed = Rival & { samples: readonly Sample[]; failure?: unknown };

function ratiosOf({ subject, samples }: Omit<Timed, 'opened'>, timed: readonly Timed[]): Ratio[] {
  return timed.flatMap(({ subject: other, samples: others, failure }) => {
    if (failure !== undefined || !isBeside(subject, other)) return [];
    const faster = speedup(samples, others);
    return faster ? { implementation: other.implementation, precision: other.precision, ...faster } : [];
  });
}

/** Our own fp32 output of the same work; made here where the filter left that subject out. */
function reference(
  context: BenchContext,
  benchCase: BenchCase,
  batch: number,
  fp32: Map<number, Promise<Float32Array>>,
): Promise<Float32Array> {
  let promise = fp32.get(batch);
  if (!promise) {
    promise = (async () => {
      const own = benchCase.subjects.find((each) => each.precision === 'fp32' && each.batch === batch);
      const opened = await own?.open(context);
      if (!opened?.logits) throw new Error('there is no fp32 of ours to hold it against');
      try {
        return (await opened.logits()).slice();
      } finally {
        await opened.close();
      }
    })();
    fp32.set(batch, promise);
  }
  return promise;
}

function throughput({ work }: Opened, medianMs: number): Entry['throughput'] {
  const perSecond = (work.amount / medianMs) * 1000;
  const giga = work.unit === 'images/s' ? 1 : work.unit === 'Mweights/s' ? 1e6 : 1e9;
  return { value: perSecond / giga, unit: work.unit };
}

/** Hexadecimal, by the browser's and Node's own implementation alike. */
export async function sha256(data: ArrayBuffer | ArrayBufferView): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', data as ArrayBuffer);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
