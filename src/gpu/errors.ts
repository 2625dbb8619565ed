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

/**
 * The GPU device is gone: destroyed, or lost to a driver that crashed. Everything made on it is gone too; a new runtime
 * works, and `session.recover(runtime)` takes a session over to it.
 *
 * @example
 * try {
 *   logits = await session.run(images);
 * } catch (error) {
 *   if (!(error instanceof DeviceLostError)) throw error;
 *   await session.recover(await createRuntime());
 *   logits = await session.run(images);
 * }
 */
export class DeviceLostError extends LloydError {
  /** `destroyed` by this program, or `unknown`. */
  readonly reason: 'destroyed' | 'unknown';
  constructor(
    { reason, message }: { reason: 'destroyed' | 'unknown'; message: string },
    options?: ErrorOptions,
  ) {
    super(
      'the device must be alive',
      `a device lost (${reason}${message ? `: ${message}` : ''})`,
      'create a new runtime, then call session.recover(runtime) or compile again',
      options,
    );
    this.reason = reason;
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

/** Whether it is a GPUDevice, of whatever realm or wrapping. */
export function isDevice(value: unknown): value is GPUDevice {
  const { queue, createBuffer } = (value ?? {}) as Partial<GPUDevice>;
  return typeof queue === 'object' && typeof createBuffer === 'function';
}
