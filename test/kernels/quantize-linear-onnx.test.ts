import { describe, expect, test } from 'vitest';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import halfFloat from '../../shaders/lib/half-float.wgsl?raw';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { quantizeLinearOnnx } from '../../src/kernels/quantize-linear-onnx.ts';
import {
  floatToHalfReference,
  halfToFloatReference,
  quantizeLinearOnnxReference,
  scaleIndex,
} from '../../src/reference/quantize-linear-onnx.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, THOROUGH, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const PER_TENSOR = { inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0 };

async function quantize(
  values: Float32Array | Int32Array,
  scales: number[],
  zeros: number[],
  { layout = PER_TENSOR, low = -128, high = 127, wrap = false, precision = false, workgroup = 64 } = {},
) {
  const { output } = await dispatch(
    gpu.runtime,
    quantizeLinearOnnx,
    { input: values, scales: Float32Array.from(scales), zeroPoints: Int32Array.from(zeros) },
    { output: values.length * 4 },
    { count: values.length, ...layout, low, high },
    {
      INPUT: values instanceof Int32Array ? '1u' : '0u',
      OVERFLOW: wrap ? '1u' : '0u',
      PRECISION: precision ? '1u' : '0u',
      WORKGROUP_SIZE: workgroup,
    },
  );
  const expected = Array.from(values as ArrayLike<number>, (value, i) => {
    const place = scaleIndex(i, layout);
    const options = { wrap, halfPrecision: precision };
    return quantizeLinearOnnxReference(value, Math.fround(scales[place]), zeros[place], low, high, options);
  });
  return firstDifference(new Int32Array(output), expected);
}

describe('quantize-linear-onnx', () => {
  for (const count of [1, 3, 4, 5, 255, 256, 257, 1025]) {
    test(`tail(count=${count})`, async () => {
      const values = seeded(count).ties(count, 0.05, 4000);
      expect(await quantize(values, [0.1], [3])).toBe(-1);
      expect(await quantize(values, [0.1], [3], { low: -32768, high: 32767, workgroup: 256 })).toBe(-1);
    });
  }

  test('the non-finite, the huge, subnormals and negative zero', async () => {
    const bits = [
      0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f7fffff, 0xff7fffff, 1, 0x80000001, 0x80000000, 0,
    ];
    const values = new Float32Array(Uint32Array.from(bits).buffer);
    for (const scale of [1, 2 ** -149, 2 ** 127, 1e-30])
      expect(await quantize(values, [scale], [-5])).toBe(-1);
  });

  test('int32 input is rounded to float32 first', async () => {
    const random = seeded(7);
    const values = Int32Array.from({ length: 3000 }, (_, i) =>
      i % 2 ? random.integer(-(2 ** 31), 2 ** 31 - 1) : random.integer(-400, 400),
    );
    expect(await quantize(values, [2], [1])).toBe(-1);
    expect(await quantize(values, [2 ** 16], [-3], { low: -32768, high: 32767 })).toBe(-1);
  });

  test('a ragged last block, along a middle axis', async () => {
    const layout = { inners: 3, axisSize: 7, blockSize: 3, outerStride: 9, axisStride: 3, innerStride: 1 };
    const random = seeded(4);
    const scales = Array.from({ length: 18 }, () => 2 ** -random.integer(0, 6));
    const zeros = scales.map(() => random.integer(-20, 20));
    expect(await quantize(random.ties(42, 0.125, 300), scales, zeros, { layout })).toBe(-1);
  });

  test("float16 precision, and the lab's wrap", async () => {
    const values = seeded(5).ties(20_000, 0.013, 20_000);
    expect(await quantize(values, [0.3], [1], { precision: true })).toBe(-1);
    expect(await quantize(values, [0.3], [-128], { wrap: true })).toBe(-1);
    expect(await quantize(values, [0.3], [1], { wrap: true, low: -2, high: 1 })).toBe(-1);
  });

  testUnlessSlow('a dispatch wider than 65,535 workgroups is folded', async () => {
    const values = seeded(6).ties(65_535 * 32 + 5, 0.5, 300);
    expect(await quantize(values, [1], [3], { workgroup: 32 })).toBe(-1);
  });

  test('every float16 becomes its float32, and every pattern of float32 the nearest float16', async () => {
    const random = seeded(8);
    const halves = Uint32Array.from({ length: 65_536 }, (_, i) => i);
    const words = Uint32Array.from({ length: THOROUGH ? 4_000_000 : 300_000 }, (_, i) =>
      i % 2
        ? random.next() * 2 ** 32
        : ((random.integer(0, 1) << 31) >>> 0) + 0x32000000 + random.integer(0, 0x16000000),
    );
    const run = async (expression: string, input: Uint32Array) => {
      const source = `
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&input)) { return; }
  let value = input[id.x];
  output[id.x] = ${expression};
}`;
      const kernel = defineKernel({
        name: expression,
        wgsl: [exactFloat, halfFloat, source],
        bindings: { input: { access: 'read', type: 'u32' }, output: { access: 'write', type: 'u32' } },
        params: {},
        workgroups: () => Math.min(65_535, Math.ceil(input.length / 64)),
      });
      return (await dispatch(gpu.runtime, kernel, { input }, { output: input.length * 4 }, {})).output;
    };
    const floats = new Float32Array(words.buffer);
    const up = new Float32Array(await run('f16_to_f32_bits(value)', halves));
    expect(firstDifference(up, Array.from(halves, halfToFloatReference))).toBe(-1);
    const down = new Uint32Array(await run('f32_to_f16_bits(value)', words));
    expect(firstDifference(down, Array.from(floats, floatToHalfReference))).toBe(-1);
  });
});
