import { describe, expect, test } from 'vitest';
import { maxPool2dKernel } from '../../src/kernels/max-pool2d.ts';
import { maxPool2d } from '../../src/reference/max-pool2d.ts';
import type { PoolShape } from '../../src/reference/pool-windows.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { HUGE_POOL, inputLength, outputLength, POOL_SHAPES } from '../support/pool.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function mismatch(input: Float32Array, shape: PoolShape, twin = maxPool2d, WORKGROUP_SIZE = 64) {
  const { channels, ...sizes } = shape;
  const bytes = outputLength(shape) * 4;
  const params = { ...sizes, channelVectors: channels / 4 };
  const { output } = await dispatch(gpu.runtime, maxPool2dKernel, { input }, { output: bytes }, params, {
    WORKGROUP_SIZE,
  });
  return firstDifference(new Float32Array(output), twin(input, shape));
}

describe('max-pool2d', () => {
  for (const [name, shape] of Object.entries(POOL_SHAPES)) {
    test(name, async () => {
      const input = seeded(1).floats(inputLength(shape));
      expect(await mismatch(input, shape)).toBe(-1);
      expect(
        await mismatch(
          input.map((x) => -Math.abs(x) - 1),
          shape,
        ),
      ).toBe(-1);
      input[5] = 3.4028235e38;
      input[9] = -3.4028235e38;
      expect(await mismatch(input, shape)).toBe(-1);
      expect(await mismatch(new Float32Array(input.length).fill(Number.NEGATIVE_INFINITY), shape)).toBe(-1);
    });
  }

  test('more than 65,535 workgroups are folded into y', async () => {
    const input = new Float32Array(inputLength(HUGE_POOL)).map((_, i) => i + 1);
    expect(await mismatch(input, HUGE_POOL, (values) => values, 32)).toBe(-1);
  });

  test('known-wrong pools are told apart', async () => {
    const shape = POOL_SHAPES['3x3 stride 2 padded'];
    const input = seeded(2)
      .floats(inputLength(shape))
      .map((x) => -Math.abs(x) - 0.1);
    const wrongs: Record<string, typeof maxPool2d> = {
      'starts from 0': (values, s) => maxPool2d(values, s).map((x) => Math.max(x, 0)),
      'padding shifted': (values, s) => maxPool2d(values, { ...s, padTop: s.padTop - 1 }),
      'axes swapped': (values, s) => maxPool2d(values, { ...s, height: s.width, width: s.height }),
    };
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(input, shape, twin), name).not.toBe(-1);
  });
});
