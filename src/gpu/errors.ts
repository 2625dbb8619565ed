import { describe, printable } from './describe.ts';

/**
 * Every error this library throws on purpose: what the rule is, what was received, and what to do about it.
 *
 * @example
 * try {
 *   await kmeans(runtime, weights, { bits: 9 });
 * } catch (error) {
 *   if (error instanceof LloydError) console.error(error.message); // "bits must be an integer from 1 to 8; received 9; ..."
 * }
 */
export class LloydError extends Error {
  override name = 'LloydError';
  constructor(
    readonly rule: string,
    readonly received?: unknown,
    readonly cure?: string,
    options?: ErrorOptions,
  ) {
    const parts = [rule, received === undefined ? '' : `received ${describe(received)}`, cure ?? ''];
    // Rules name tensors and files, whose names may hold what a terminal obeys.
    super(printable(parts.filter(Boolean).join('; '), { lines: true }), options);
  }
}

/** Throws a {@link LloydError} unless `condition` holds. */
export function check(
  condition: unknown,
  rule: string,
  received?: unknown,
  cure?: string,
): asserts condition {
  if (!condition) throw new LloydError(rule, received, cure);
}
