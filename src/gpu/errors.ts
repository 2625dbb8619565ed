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
    super(
      [rule, received === undefined ? '' : `received ${describe(received)}`, cure ?? '']
        .filter(Boolean)
        .join('; '),
      options,
    );
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

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as Uint8Array).length})`;
  if (Array.isArray(value))
    return `[${value.slice(0, 8).map(describe).join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  if (value !== null && typeof value === 'object') return Object.prototype.toString.call(value);
  return Object.is(value, -0) ? '-0' : String(value);
}
