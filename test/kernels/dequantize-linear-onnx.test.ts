import { describe, expect, test } from 'vitest';
import { dequantizeLinearOnnx } from '../../src/kernels/dequantize-linear-onnx.ts';
import { dequantizeLinearOnnxReference } from '../../src/reference/dequantize-linear-onnx.ts';
import { scaleIndex } from '../../src/reference/quantize-linear-onnx.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const PER_TENSOR = { inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0 };

async function dequantize(
  codes: Int32Array,
  scales: number[],
  zeros: number[],
  { layout = PER_TENSOR, workgroup = 64 } = {},
) {
  const { output } = await dispatch(
    gpu.runtime,
    dequantizeLinearOnnx,
    { input: codes, scales: Float32Array.from(scales), zeroPoints: Int32Array.from(zeros) },
    { output: codes.length * 4 },
    { count: codes.length, ...layout },
    { WORKGROUP_SIZE: workgroup },
  );
  const expected = Array.from(codes, (code, i) => {
    const place = scaleIndex(i, layout);
    return dequantizeLinearOnnxReference(code, Math.fround(scales[place]), zeros[place]);
  });
  return firstDifference(new Float32Array(output), expected);
}

const codesOf = (length: number, factor = 1) =>
  Int32Array.from(seeded(length).int8s(length), (code) => code * factor);

describe('dequantize-linear-onnx', () => {
  for (const count of [1, 2, 3, 63, 64, 65, 257]) {
    test(`tail(count=${count})`, async () => {
      expect(await dequantize(codesOf(count), [0.1], [3])).toBe(-1);
      expect(await dequantize(codesOf(count, 255), [0.1], [-7], { workgroup: 256 })).toBe(-1);
      expect(await dequantize(codesOf(count, 16777213), [0.1], [0])).toBe(-1);
    });
  }

  test('scales of every size, subnormal results and overflows included', async () => {
    const random = seeded(3);
    const scales = Array.from({ length: 300 }, (_, i) =>
      Math.min((1 + random.next()) * 2 ** (i - 149), 3e38),
    );
    const layout = { ...PER_TENSOR, inners: 20, axisSize: 300, axisStride: 1 };
    const codes = Int32Array.from({ length: 6000 }, () => random.integer(-32768, 32767));
    const zeros = scales.map(() => random.integer(-5, 5));
    expect(await dequantize(codes, scales, zeros, { layout })).toBe(-1);
  });

  test('a ragged last block, along a middle axis', async () => {
    const layout = { inners: 3, axisSize: 7, blockSize: 3, outerStride: 9, axisStride: 3, innerStride: 1 };
    const random = seeded(4);
    const scales = Array.from({ length: 18 }, () => 2 ** -random.integer(0, 6));
    const zeros = scales.map(() => random.integer(-20, 20));
    expect(await dequantize(codesOf(42), scales, zeros, { layout })).toBe(-1);
    // A block of another length reads other scales.
    const other = { ...layout, blockSize: 4 };
    expect(await dequantize(codesOf(42), scales, zeros, { layout: other })).toBe(-1);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await dequantize(codesOf(65_535 * 32 + 5), [0.1], [3], { workgroup: 32 })).toBe(-1);
  });
});
