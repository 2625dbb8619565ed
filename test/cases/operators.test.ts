// Situations that users of neighbouring libraries reported of ONNX operators, with inputs of our own.
import { matmulInt8, requantizeRules } from 'lloyd';
import { runOperator } from 'lloyd/onnx';
import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { runOnnxRuntime } from '../support/onnx-runtime.ts';
import { f32, i8, u8 } from '../support/onnx-tensors.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const half = (...bits: number[]): Tensor => ({
  dtype: 'float16',
  dims: [bits.length],
  data: Uint16Array.from(bits),
});
const vector = (...values: number[]): Tensor => ({ ...f32(...values), dims: [values.length] });
const joined = (tensors: readonly Tensor[]) => tensors.map(({ data }) => [...(data as Float32Array)].join());

async function dynamicQuantize(values: readonly number[]) {
  const x = vector(...values);
  const ours = await runOperator(gpu.runtime, 'DynamicQuantizeLinear', [x]);
  const theirs = await runOnnxRuntime({
    opType: 'DynamicQuantizeLinear',
    inputs: [x],
    attributes: {},
    outputs: ['uint8', 'float32', 'uint8'],
    opset: 21,
  } as Parameters<typeof runOnnxRuntime>[0]);
  return { ours: joined(ours), theirs: joined(theirs), tensors: ours };
}

describe('QuantizeLinear and DequantizeLinear', () => {
  // microsoft/onnxruntime#18576: float16 was truncated instead of rounded to the nearest even.
  test('float16 is rounded, also with a subnormal scale', async () => {
    // x = +-0.30005 and +-0.7998 by 0.5: quotients of +-0.6 and +-1.6.
    const scale: Tensor = { dtype: 'float16', dims: [], data: Uint16Array.of(0x3800) };
    const smallest: Tensor = { dtype: 'float16', dims: [], data: Uint16Array.of(1) };
    const { runtime } = gpu;
    const [y] = await runOperator(runtime, 'QuantizeLinear', [
      half(0x34cd, 0xb4cd, 0x3a66, 0xba66),
      scale,
      i8(0),
    ]);
    const [tiny] = await runOperator(runtime, 'QuantizeLinear', [
      half(1, 2, 3, 0x8001, 0x3ff),
      smallest,
      i8(0),
    ]);
    expect([...(y.data as Int8Array), ...(tiny.data as Int8Array)]).toEqual([1, -1, 2, -2, 1, 2, 3, -1, 127]);
  });

  // openvinotoolkit/openvino#32918: axis 1 was interleaved and axes above were refused.
  test('blocks along axis 1 and 2, the last one short', async () => {
    const values = [3, 50, 7, 91, 110, 13, 15, 217];
    const scales = [0.5, 1, 2, 4];
    const zeros = [1, 20, 3, 104];
    const [one] = await runOperator(
      gpu.runtime,
      'DequantizeLinear',
      [
        { ...u8(...values), dims: [1, 8] },
        { ...f32(...scales), dims: [1, 4] },
        { ...u8(...zeros), dims: [1, 4] },
      ],
      { axis: 1, block_size: 2 },
    );
    expect([...(one.data as Float32Array)]).toEqual(
      values.map((v, i) => (v - zeros[i >> 1]) * scales[i >> 1]),
    );
    const x = Array.from({ length: 20 }, (_, i) => i);
    const s = Array.from({ length: 12 }, (_, i) => i + 1);
    const [two] = await runOperator(
      gpu.runtime,
      'DequantizeLinear',
      [
        { ...u8(...x), dims: [2, 2, 5] },
        { ...f32(...s), dims: [2, 2, 3] },
      ],
      { axis: 2, block_size: 2 },
    );
    expect([...(two.data as Float32Array)]).toEqual(
      x.map((v, i) => v * s[Math.floor(i / 5) * 3 + Math.floor((i % 5) / 2)]),
    );
  });

  // microsoft/onnxruntime#32719: opset 23 lets x and its scale differ in float type.
  test('a scale of another float type than x', async () => {
    const { runtime } = gpu;
    const [q] = await runOperator(runtime, 'QuantizeLinear', [half(0x3c00, 0xc000, 0x3800), f32(0.25)], {
      output_dtype: 3,
    });
    expect([q.dtype, [...(q.data as Int8Array)]]).toEqual(['int8', [4, -8, 2]]);
    const [d] = await runOperator(runtime, 'DequantizeLinear', [i8(4, -8, 2), f32(0.25)], {
      output_dtype: 10,
    });
    expect([d.dtype, [...(d.data as Uint16Array)]]).toEqual(['float16', [0x3c00, 0xc000, 0x3800]]);
  });
});

describe('DynamicQuantizeLinear', () => {
  // onnx/onnx#8437: 0/0 in the function body; ONNX Runtime gives scale 1.
  test('of zeros has a scale of 1', async () => {
    const { ours, theirs } = await dynamicQuantize([0, 0, 0]);
    expect(ours).toEqual(theirs);
    expect(ours[1]).toBe('1');
  });

  // vllm-project/compressed-tensors#523: a range that is infinite or underflows; the zero point is then a NaN.
  test.each(
    [
      [-Infinity, 0, 1],
      [1.4e-45, 0],
      [1, Infinity, -1],
      [3e38, -3e38, 1],
      [1, NaN, -1],
      [NaN, NaN],
    ].map((values) => [values]),
  )('of [%s] is what ONNX Runtime makes of it', async (values) => {
    const { ours, theirs } = await dynamicQuantize(values);
    expect(ours).toEqual(theirs);
  });

  // tinygrad/tinygrad#9301: x / (range / 255) in another order or precision moves the zero point across a tie.
  test('divides in float32, in the order of the formula', async () => {
    const f = Math.fround;
    const even = (v: number) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v));
    const clamp = (v: number) => Math.min(255, Math.max(0, v));
    let ties = 0;
    for (const bound of [0.7, 1.3, 3.5, 6.1, 11.9, 0.003, 977]) {
      const low = f(-bound);
      const high = f(bound);
      const scale = f(f(high - low) / 255);
      const zero = clamp(even(f(0 - f(low / scale))));
      const xs = [low, high, 0, f(bound / 3), f(bound / 2)];
      if (Math.abs(f(low / scale) + 127.5) < 1e-4) ties++;
      const { tensors } = await dynamicQuantize(xs);
      const want = xs.map((x) => clamp(even(f(x / scale)) + zero));
      expect(tensors.map(({ data }) => [...(data as Float32Array)])).toEqual([want, [scale], [zero]]);
    }
    expect(ties).toBeGreaterThan(3);
  });
});

describe('QLinearAdd', () => {
  // microsoft/onnxruntime#25512: an exact sum of -112.50000794 came out -112.
  test.each([
    [0.0271, 0.0389, 0.0413],
    [0.011, 0.007, 0.022],
    [1 / 3, 1 / 7, 0.9],
  ])('of every pair of codes by scales %f, %f and %f', async (a, b, y) => {
    const codes = (code: (i: number) => number): Tensor => ({
      dtype: 'int8',
      dims: [65536],
      data: Int8Array.from({ length: 65536 }, (_, i) => code(i) - 128),
    });
    const inputs = [
      codes((i) => i >> 8),
      f32(a),
      i8(-101),
      codes((i) => i & 255),
      f32(b),
      i8(-117),
      f32(y),
      i8(-99),
    ];
    const [ours] = await runOperator(gpu.runtime, 'QLinearAdd', inputs);
    const [theirs] = await runOnnxRuntime({
      opType: 'QLinearAdd',
      domain: 'com.microsoft',
      inputs,
      attributes: {},
      outputs: ['int8'],
      opset: 21,
    } as Parameters<typeof runOnnxRuntime>[0]);
    expect(Buffer.compare(Buffer.from(ours.data.buffer), Buffer.from(theirs.data.buffer))).toBe(0);
  });
});

describe('requantization', () => {
  // tensorflow/tensorflow#14642: a multiplier of 1 or more was refused (input_product_scale < output_scale).
  test.each(requantizeRules)('%s: a multiplier of 4, and one that underflows', async (requantize) => {
    const { runtime } = gpu;
    const matrix = (dims: number[], ...values: number[]) => ({
      dtype: 'int8' as const,
      dims,
      data: Int8Array.from(values),
    });
    const up = await matmulInt8(runtime, matrix([4, 1], 1, -1, 60, -60), matrix([1, 1], 1), {
      inputScale: 0.5,
      weightScale: 0.5,
      outputScale: 0.0625,
      outputZeroPoint: 1,
      requantize,
    });
    const down = await matmulInt8(runtime, matrix([2, 1], 100, -100), matrix([1, 1], 100), {
      inputScale: 1e-20,
      weightScale: 1e-20,
      outputScale: 1,
      outputZeroPoint: 1,
      requantize,
    });
    expect([...up.data, ...down.data]).toEqual([5, -3, 127, -128, 1, 1]);
  });
});
