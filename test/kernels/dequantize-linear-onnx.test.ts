import { describe, expect, test } from 'vitest';
import { dequantizeLinearOnnx } from '../../src/kernels/dequantize-linear-onnx.ts';
import { dequantizeLinearOnnxReference } from '../../src/reference/dequantize-linear-onnx.ts';
import { floatToHalfReference, scaleIndex } from '../../src/reference/quantize-linear-onnx.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const PER_TENSOR = { inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0 };

async function dequantize(
  codes: Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array,
  scales: number[],
  zeros: number[],
  { layout = PER_TENSOR, half = false, workgroup = 64 } = {},
) {
  const signed = !(codes instanceof Uint8Array || codes instanceof Uint16Array);
  const { output } = await dispatch(
    gpu.runtime,
    dequantizeLinearOnnx,
    { input: codes, scales: Float32Array.from(scales), zeroPoints: Int32Array.from(zeros) },
    { output: codes.length * (half ? 2 : 4) },
    { count: codes.length, ...layout },
    {
      INPUT_BITS: `${codes.BYTES_PER_ELEMENT * 8}u`,
      SIGNED: signed ? '1u' : '0u',
      OUTPUT: half ? '1u' : '0u',
      WORKGROUP_SIZE: workgroup,
    },
  );
  const expected = Array.from(codes, (code, i) => {
    const place = scaleIndex(i, layout);
    const value = dequantizeLinearOnnxReference(code, Math.fround(scales[place]), zeros[place]);
    return half ? floatToHalfReference(value) : value;
  });
  return firstDifference(half ? new Uint16Array(output) : new Float32Array(output), expected);
}

describe('dequantize-linear-onnx', () => {
  for (const count of [1, 2, 3, 63, 64, 65, 257]) {
    test(`tail(count=${count})`, async () => {
      const codes = seeded(count).int8s(count);
      for (const half of [false, true]) {
        expect(await dequantize(codes, [0.1], [3], { half })).toBe(-1);
        expect(await dequantize(Uint8Array.from(codes), [0.1], [3], { half })).toBe(-1);
        expect(
          await dequantize(
            Int16Array.from(codes, (c) => c * 255),
            [0.1],
            [-7],
            { half },
          ),
        ).toBe(-1);
        expect(
          await dequantize(
            Uint16Array.from(codes, (c) => c * 255),
            [0.1],
            [7],
            { half },
          ),
        ).toBe(-1);
        expect(
          await dequantize(
            Int32Array.from(codes, (c) => c * 16777213),
            [0.1],
            [0],
            { half },
          ),
        ).toBe(-1);
      }
    });
  }

  test('scales of every size, subnormal results and overflows included', async () => {
    const random = seeded(3);
    const scales = Array.from({ length: 300 }, (_, i) => (1 + random.next()) * 2 ** (i - 149));
    const layout = { ...PER_TENSOR, inners: 20, axisSize: 300, axisStride: 1 };
    const codes = Int16Array.from({ length: 6000 }, () => random.integer(-32768, 32767));
    const zeros = scales.map(() => random.integer(-5, 5));
    expect(
      await dequantize(
        codes,
        scales.map((s) => Math.min(s, 3e38)),
        zeros,
        { layout },
      ),
    ).toBe(-1);
    expect(
      await dequantize(
        codes,
        scales.map((s) => Math.min(s, 3e38)),
        zeros,
        { layout, half: true },
      ),
    ).toBe(-1);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await dequantize(seeded(6).int8s(65_535 * 32 + 5), [0.1], [3], { workgroup: 32 })).toBe(-1);
  });
});
