import { describe, expect, test } from 'vitest';
import { concatInt8 } from '../../src/kernels/concat-int8.ts';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/quantize/requantize.ts';
import { rescaleReference } from '../../src/reference/concat-int8.ts';
import type { RequantizeRule } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function concatenate(
  rule: RequantizeRule,
  rows: number,
  lengths: number[],
  seed: number,
  workgroup = 64,
) {
  const random = seeded(seed);
  const scale = () => Math.fround(seed % 2 ? 2 ** -random.integer(2, 5) : 0.02 + random.next() * 0.2);
  const y = { scale: scale(), zeroPoint: 7, low: 0, high: 255 };
  const parts = lengths.map((length) => ({
    codes: Uint8Array.from({ length: rows * length }, () => random.integer(0, 255)),
    length,
    scale: scale(),
    zeroPoint: random.integer(0, 255),
  }));
  const segments: number[] = [];
  const bytes: number[] = [];
  let row = 0;
  for (const { codes, length, scale, zeroPoint } of parts) {
    const words = prepareMultipliers(rule, scale, Float32Array.of(1), y.scale);
    row += length;
    const bits = new Uint32Array(Float32Array.of(scale).buffer)[0];
    segments.push(row, length, bytes.length, 0, zeroPoint, words[0], words[1], bits);
    for (const code of codes) bytes.push(code);
    while (bytes.length % 4) bytes.push(0);
  }
  const count = rows * row;
  const { output } = await dispatch(
    gpu.runtime,
    concatInt8,
    { input: Uint8Array.from(bytes), segments: Uint32Array.from(segments) },
    { output: count },
    { count, row, yScale: y.scale, zeroPoint: y.zeroPoint, low: 0, high: 255 },
    rule === 'ort-f32'
      ? { RESCALE: '0u', WORKGROUP_SIZE: workgroup }
      : { RESCALE: '1u', REQUANTIZE: await requantizeConstant(gpu.runtime, rule), WORKGROUP_SIZE: workgroup },
  );
  const expected: number[] = [];
  for (let r = 0; r < rows; r++)
    for (const { codes, length, ...own } of parts)
      for (const code of codes.subarray(r * length, (r + 1) * length)) {
        expected.push(rescaleReference(rule, code, own, y));
      }
  return firstDifference(new Uint8Array(output), expected);
}

describe('concat-int8', () => {
  for (const rule of requantizeRules) {
    test(`${rule} has its twin's codes`, async () => {
      for (const length of [1, 3, 4, 5, 64, 255])
        expect(await concatenate(rule, 3, [length, 2, 7], length)).toBe(-1);
      expect(await concatenate(rule, 40, [33, 65, 1, 20], 3, 256)).toBe(-1);
      expect(await concatenate(rule, 1, [256], 4)).toBe(-1);
    });
  }

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await concatenate('ort-f32', 65_536, [100, 29], 5, 32)).toBe(-1);
  });
});
