import { printable } from '../gpu/describe.ts';
import { LloydError } from '../gpu/errors.ts';

/** Raised by the first Ctrl-C, or by a command that has stopped for it and says what it left. */
export class Interrupted extends Error {
  override name = 'Interrupted';
  constructor(
    /** Where it was: `after step 3 of 20`. */
    where = '',
    /** What to do about it. */
    readonly cure?: string | null,
  ) {
    super(where);
  }
}

/** Whether an error is what an interruption comes out as, however far up it was wrapped. */
export function isInterruption(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  for (let cause = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth++) {
    if (cause instanceof Interrupted || cause === signal.reason || cause.name === 'AbortError') return true;
  }
  return false;
}

/** What a failed command prints: one line where the cause is known, a stack only where it is our own mistake. */
export function explain(
  error: unknown,
  interrupted = false,
  written: ReadonlySet<string> = new Set(),
): string {
  if (interrupted) {
    const own = error instanceof Interrupted ? error.message : '';
    const left = written.size > 0 ? `wrote ${[...written].join(', ')}` : 'nothing was written';
    const cure = error instanceof Interrupted && error.cure ? `; ${error.cure}` : '';
    return printable(`interrupted${own && ` ${own}`}; ${left}${cure}`);
  }
  if (error instanceof LloydError) return `error: ${error.message}`;
  if (error instanceof Error && 'syscall' in error) return `error: ${printable(error.message)}`;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return printable(text, { lines: true });
}

/** The candidate that `word` was most likely meant to be: at most a third of its letters differ. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, Math.ceil(word.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein's: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
