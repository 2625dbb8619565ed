import { type ScaleLayout, scaleIndex } from './quantize-linear-onnx.ts';
import type { TwinBuffers, TwinParams } from './twin.ts';

/** CPU twin of shaders/dequantize-linear-onnx.wgsl, one element: f32(f32(code - zeroPoint) * scale). */
export function dequantizeLinearOnnxReference(code: number, scale: number, zeroPoint: number): number {
  return Math.fround(Math.fround(code - zeroPoint) * scale);
}

/**
 * CPU twin of a dispatch of shaders/dequantize-linear-onnx.wgsl.
 *
 * @example
 * dequantizeLinearOnnxTwin({ input, scales, zeroPoints, output }, { count: 2, ...layout });
 */
export function dequantizeLinearOnnxTwin(
  { input, scales, zeroPoints, output }: TwinBuffers,
  params: TwinParams,
): void {
  for (let i = 0; i < params.count; i++) {
    const at = scaleIndex(i, params as TwinParams & ScaleLayout);
    output[i] = dequantizeLinearOnnxReference(input[i], Math.fround(scales[at]), zeroPoints[at]);
  }
}
