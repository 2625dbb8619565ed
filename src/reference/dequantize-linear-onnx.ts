/** CPU twin of shaders/dequantize-linear-onnx.wgsl, one element: f32(f32(code - zeroPoint) * scale). */
export function dequantizeLinearOnnxReference(code: number, scale: number, zeroPoint: number): number {
  return Math.fround(Math.fround(code - zeroPoint) * scale);
}
