import type { ChannelLayout } from './quantize-linear.ts';

/**
 * The CPU twin of `shaders/dequantize-linear.wgsl`: `f32((q - z) * s)`, one rounding.
 *
 * @example
 * dequantizeLinear(new Int8Array([3, 5]), [0.5], [3], { axisSize: 1, axisStride: 2 }); // [0, 1]
 */
export function dequantizeLinear(
  codes: ArrayLike<number>,
  scale: ArrayLike<number>,
  zeroPoint: ArrayLike<number>,
  { axisSize, axisStride }: ChannelLayout,
): Float32Array {
  const output = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const channel = Math.floor(i / axisStride) % axisSize;
    // A 9-bit difference times a 24-bit scale is exact in float64, so storing it in f32 rounds once.
    const difference = codes[i] - zeroPoint[channel];
    output[i] = difference === 0 ? 0 : difference * scale[channel];
  }
  return output;
}
