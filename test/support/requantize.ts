import type { Runtime } from '../../src/gpu/runtime.ts';
import { requantize } from '../../src/kernels/requantize.ts';
import type { RequantizeRule } from '../../src/reference/requantize.ts';

/** Values of `const REQUANTIZE` that implement a rule: native f32 where an adapter allows it, and exact. */
export const REQUANTIZE_CHOICES: Record<RequantizeRule, readonly string[]> = {
  'ort-f32': ['0u', '1u'],
  'onnx-ref': ['2u'],
  'tflite-double': ['3u'],
  'tflite-single': ['4u'],
  'xnn-rndnu': ['5u'],
  lab: ['6u', '7u'],
};

/** Requantizes on the GPU, one multiplier an element. */
export function kernelForRule(
  runtime: Runtime,
  value: string,
  { accumulators, multipliers }: { accumulators: Int32Array; multipliers: Uint32Array },
  { zeroPoint, low, high }: { zeroPoint: number; low: number; high: number },
): Promise<Int32Array> {
  const count = accumulators.length;
  return runtime.scope(async ({ upload, empty, keep }) => {
    const kernel = await requantize.create(runtime.device, { REQUANTIZE: value });
    const codes = empty(count * 4);
    const buffers = { accumulators: upload(accumulators), multipliers: upload(multipliers), codes };
    const params = { count, channels: count, channelStride: 1, zeroPoint: zeroPoint, low, high };
    runtime.submit([keep(kernel.bind(buffers, params))]);
    return new Int32Array(await runtime.read(codes));
  });
}
