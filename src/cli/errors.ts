import { LloydError } from '../gpu/errors.ts';

/** Raised by the first Ctrl-C; the command stops at the next step and writes nothing. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/** What a failed command prints: one line where the cause is known, a stack only where it is our own mistake. */
export function explain(error: unknown): string {
  if (error instanceof LloydError) return `error: ${error.message}`;
  if (error instanceof Interrupted) return 'interrupted; nothing was written';
  if (error instanceof Error && error.name === 'CACError') return `error: ${error.message}; see lloyd --help`;
  if (error instanceof Error && 'syscall' in error) return `error: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
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
