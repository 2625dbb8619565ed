import { roundHalfToEven } from './round.ts';

/** Which scale belongs to which element: element i uses index `(i / axisStride) % axisSize`. */
export interface ChannelLayout {
  axisSize: number;
  axisStride: number;
}

/**
 * The CPU twin of `shaders/quantize-linear.wgsl`: `clamp(rne(f32(x / s)) + z)`, one code an element.
 *
 * The quotient is rounded to f32 first (as IEEE division does), then half to even, and only then z is added.
 *
 * @param input f32 values
 * @param scale one a channel, positive
 * @param zeroPoint one a channel, within quantMin..quantMax
 * @returns integers from quantMin to quantMax
 * @example
 * quantizeLinear(new Float32Array([0.5, 1.5]), [1], [3], { axisSize: 1, axisStride: 2 }, -128, 127); // [3, 5]
 */
export function quantizeLinear(
  input: Float32Array,
  scale: ArrayLike<number>,
  zeroPoint: ArrayLike<number>,
  { axisSize, axisStride }: ChannelLayout,
  quantMin: number,
  quantMax: number,
): Int32Array {
  const codes = new Int32Array(input.length);
  for (let i = 0; i < input.length; i++) {
    const channel = Math.floor(i / axisStride) % axisSize;
    const quotient = Math.fround(input[i] / scale[channel]);
    const code = roundHalfToEven(quotient) + zeroPoint[channel];
    codes[i] = Math.min(Math.max(code, quantMin), quantMax);
  }
  return codes;
}
