import { describe, expect, test } from 'vitest';
import { averagePool2dKernel } from '../../src/kernels/average-pool2d.ts';
import { averagePool2d } from '../../src/reference/average-pool2d.ts';
import type { AveragePoolShape } from '../../src/reference/pool-windows.ts';
import { dispatch } from '../support/dispatch.ts';
import { HUGE_POOL, inputLength, outputLength, POOL_SHAPES, withPadding } from '../support/pool.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/**
 * The largest error in units of its bound: values are at most 8, so a sum of `cells` of them errs by at most
 * cells - 1 roundings of half an ULP of 8 * cells (2^-21 * cells), and the division adds 3 ULP of the quotient.
 */
async function worst(
  input: Float32Array,
  shape: AveragePoolShape,
  twin = averagePool2d,
  WORKGROUP_SIZE = 64,
) {
  const { channels, includePad, ...sizes } = shape;
  const bytes = outputLength(shape) * 4;
  const params = { ...sizes, channelVectors: channels / 4, includePad: includePad ? 1 : 0 };
  const { output } = await dispatch(gpu.runtime, averagePool2dKernel, { input }, { output: bytes }, params, {
    WORKGROUP_SIZE,
  });
  const actual = new Float32Array(output);
  const expected = twin(input, shape);
  expect(actual.length).toBe(expected.length);
  const bound = 2 ** -21 * (shape.kernelHeight * shape.kernelWidth + 3);
  // Math.max propagates NaN, and NaN fails every comparison below.
  return actual.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]) / bound), 0);
}

describe('average-pool2d', () => {
  for (const [name, plain] of Object.entries(POOL_SHAPES)) {
    for (const includePad of [false, true]) {
      test(`${name}, padding ${includePad ? 'counts' : 'left out'}`, async () => {
        const shape = withPadding(plain, includePad);
        const input = seeded(1).floats(inputLength(shape));
        expect(await worst(input, shape)).toBeLessThan(1);
      });
    }
  }

  test('more than 65,535 workgroups are folded into y', async () => {
    const input = new Float32Array(inputLength(HUGE_POOL)).map((_, i) => i % 8);
    expect(await worst(input, withPadding(HUGE_POOL, false), (values) => values, 32)).toBeLessThan(1);
  });

  test('known-wrong averages are told apart', async () => {
    const shape = withPadding(POOL_SHAPES['3x3 stride 2 padded'], true);
    const input = seeded(2).floats(inputLength(shape));
    const wrongs: Record<string, typeof averagePool2d> = {
      'padding left out': (values, s) => averagePool2d(values, { ...s, includePad: false }),
      'hanging cells counted': (values, s) => averagePool2d(values, { ...s, padBottom: s.padBottom + 1 }),
      'padding shifted': (values, s) => averagePool2d(values, { ...s, padLeft: s.padLeft - 1 }),
      'off by 1e-4': (values, s) => averagePool2d(values, s).map((x) => x + 1e-4),
    };
    for (const [name, twin] of Object.entries(wrongs))
      expect(await worst(input, shape, twin), name).toBeGreaterThan(1);
  });
});
