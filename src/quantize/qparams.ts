import { check } from '../gpu/errors.ts';
import { type CodeRange, chooseQparams, type Qparams } from '../reference/choose-qparams.ts';

export { type CodeRange, chooseQparams, type Qparams };

/** Which integers a code may be. */
export interface CodeOptions {
  /** Width of a code, 2 to 8. */
  bits: number;
  /** Two's complement from -2^(bits-1), or plain from 0; signed unless given. */
  signed?: boolean;
  /** Leaves out the lowest code: -127 to 127 at 8 bits. */
  narrow?: boolean;
  /** `'symmetric'` (unless given): 0 is code 0, or the middle code of unsigned ones; `'asymmetric'`: min and max are the ends. */
  scheme?: Scheme;
}

/** How a range of values is laid over the codes. */
export type Scheme = 'symmetric' | 'asymmetric';

/**
 * The lowest and highest code of a width.
 *
 * @throws LloydError if bits is not an integer from 2 to 8 or the scheme is unknown.
 * @example
 * codeRange({ bits: 8, narrow: true }); // { quantMin: -127, quantMax: 127, symmetric: true }
 */
export function codeRange({
  bits,
  signed = true,
  narrow = false,
  scheme = 'symmetric',
}: CodeOptions): CodeRange {
  check(Number.isInteger(bits) && bits >= 2 && bits <= 8, 'bits must be an integer from 2 to 8', bits);
  check(
    scheme === 'symmetric' || scheme === 'asymmetric',
    "scheme must be 'symmetric' or 'asymmetric'",
    scheme,
  );
  const lowest = signed ? -(2 ** (bits - 1)) : 0;
  return {
    quantMin: lowest + (narrow ? 1 : 0),
    quantMax: lowest + 2 ** bits - 1,
    symmetric: scheme === 'symmetric',
  };
}

/**
 * Checks scales and zero points that a caller brings: one a segment, or one for all of them.
 *
 * @throws LloydError for a wrong number of them, a scale that is not a positive f32, or a zero point that is no code.
 */
export function checkQparams(
  segments: number,
  { quantMin, quantMax }: Pick<CodeRange, 'quantMin' | 'quantMax'>,
  scale: number | ArrayLike<number>,
  zeroPoint: number | ArrayLike<number>,
): Qparams {
  const scales = Float32Array.from(spread('scale', scale, segments));
  const zeroPoints = spread('zeroPoint', zeroPoint, segments);
  for (let i = 0; i < segments; i++) {
    check(
      scales[i] > 0 && Number.isFinite(scales[i]),
      `scale must be positive and finite in f32 (index ${i})`,
      scales[i],
      'leave it out to have it chosen from the values',
    );
    const rule = `zeroPoint must be an integer from ${quantMin} to ${quantMax} (index ${i})`;
    check(
      Number.isInteger(zeroPoints[i]) && zeroPoints[i] >= quantMin && zeroPoints[i] <= quantMax,
      rule,
      zeroPoints[i],
    );
  }
  return { scale: scales, zeroPoint: Int32Array.from(zeroPoints) };
}

function spread(name: string, values: number | ArrayLike<number>, segments: number): ArrayLike<number> {
  const list = typeof values === 'number' ? [values] : values;
  if (list.length === 1) return new Array<number>(segments).fill(list[0]);
  check(
    list.length === segments,
    `${name} must be one number, or one for each of ${segments} segments`,
    list.length,
  );
  return list;
}
