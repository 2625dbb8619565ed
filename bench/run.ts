import { disagreement } from './compare-logits.ts';
import { measure, sample } from './timing.ts';
import type { BenchCase, BenchContext, Ceilings, Entry, Opened, Refusal, Subject } from './types.ts';
import { Unavailable } from './unavailable.ts';

export interface RunOptions {
  ceilings: Ceilings;
  quick: boolean;
  /** Words that must all occur in a subject's label; see {@link label}. */
  filter?: string;
  /** Who else does a case's work; none unless given. */
  peersOf?(benchCase: BenchCase, context: BenchContext): readonly Subject[];
  onStart?(what: string): void;
  /** With everything so far, this entry included. */
  onEntry?(entry: Entry, sofar: { cases: Entry[]; refused: Refusal[] }): unknown;
  onRefusal?(refusal: Refusal): void;
  signal?: AbortSignal;
  /** `performance.now()` after which no further subject is started; each is refused, so that the results say so. */
  deadline?: number;
}

/** Runs cases one after another, ours before the peers', and never lets one's failure end the others'. */
export async function runCases(
  context: BenchContext,
  cases: readonly BenchCase[],
  options: RunOptions,
): Promise<{ cases: Entry[]; refused: Refusal[] }> {
  const entries: Entry[] = [];
  const refused: Refusal[] = [];
  for (const benchCase of cases) {
    const fp32 = new Map<number, Promise<Float32Array>>();
    const subjects = [...benchCase.subjects, ...(options.peersOf?.(benchCase, context) ?? [])];
    for (const subject of byBatch(subjects)) {
      options.signal?.throwIfAborted();
      const { implementation, precision, batch } = subject;
      const key = { name: benchCase.name, implementation, precision, batch };
      if (!matches(label(key), options.filter)) continue;
      options.onStart?.(label(key));
      let entry: Entry;
      try {
        if (performance.now() > (options.deadline ?? Number.POSITIVE_INFINITY))
          throw new Error('the time given to this run was over');
        entry = { ...key, ...(await runSubject(context, benchCase, subject, fp32, options)) };
      } catch (error) {
        // What an interruption fails is no case's own failure.
        options.signal?.throwIfAborted();
        const reason = (error as Error).message.split('\n')[0];
        const refusal = {
          ...key,
          reason,
          ...(error instanceof Unavailable && { unavailable: true as const }),
        };
        refused.push(refusal);
        options.onRefusal?.(refusal);
        continue;
      }
      entries.push(entry);
      await options.onEntry?.(entry, { cases: entries, refused });
    }
  }
  return { cases: entries, refused };
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

/** Batches in the order they first appear, so that what is compared ran at nearly the same time. */
function byBatch(subjects: readonly Subject[]): Subject[] {
  const batches = [...new Set(subjects.map(({ batch }) => batch))];
  return batches.flatMap((batch) => subjects.filter((subject) => subject.batch === batch));
}

async function runSubject(
  context: BenchContext,
  benchCase: BenchCase,
  subject: Subject,
  fp32: Map<number, Promise<Float32Array>>,
  { ceilings, quick }: RunOptions,
): Promise<Omit<Entry, 'name' | 'implementation' | 'precision' | 'batch'>> {
  const { implementation, precision, batch } = subject;
  const opened = await subject.open(context);
  try {
    // The warm-up, whose result is checked where there is one to check.
    const logits = opened.logits && (await opened.logits()).slice();
    if (!logits) await (opened.gpuTime ?? opened.run)();
    else if (implementation === 'lloyd' && precision === 'fp32') fp32.set(batch, Promise.resolve(logits));
    else if (implementation !== 'lloyd') {
      const reason = disagreement(logits, await reference(context, benchCase, batch, fp32));
      if (reason) throw new Error(`it disagrees with our fp32: ${reason}`);
    }
    const { gpuTime, run } = opened;
    const timing = gpuTime ? await sample(gpuTime, quick) : await measure(run, quick);
    return {
      ...timing,
      clock: opened.clock ?? 'wall',
      throughput: throughput(opened, timing.medianMs),
      ceilingShare: opened.bound
        ? opened.bound.amount / timing.medianMs / 1e6 / ceilings[opened.bound.ceiling]
        : null,
      ...(opened.output && { hash: await sha256(await opened.output()) }),
      ...(opened.note && { note: opened.note }),
    };
  } finally {
    await opened.close();
  }
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
