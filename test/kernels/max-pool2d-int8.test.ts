import { describe, expect, test } from 'vitest';
import { maxPool2dInt8Kernel } from '../../src/kernels/max-pool2d-int8.ts';
import { maxPool2dInt8 } from '../../src/reference/max-pool2d-int8.ts';
import type { PoolShape } from '../../src/reference/pool-windows.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { HUGE_POOL, inputLength, outputLength, POOL_SHAPES } from '../support/pool.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function mismatch(
  input: Int8Array | Uint8Array,
  shape: PoolShape,
  twin = maxPool2dInt8,
  WORKGROUP_SIZE = 64,
) {
  const { channels, ...sizes } = shape;
  const { output } = await dispatch(
    gpu.runtime,
    maxPool2dInt8Kernel,
    { input },
    { output: outputLength(shape) },
    { ...sizes, channelWords: channels / 4 },
    { SIGNED: input instanceof Int8Array ? 1 : 0, WORKGROUP_SIZE },
  );
  const actual = input instanceof Int8Array ? new Int8Array(output) : new Uint8Array(output);
  return firstDifference(actual, twin(input, shape));
}

describe('max-pool2d-int8', () => {
  for (const [name, shape] of Object.entries(POOL_SHAPES)) {
    test(name, async () => {
      const input = seeded(1).int8s(inputLength(shape));
      expect(await mismatch(input, shape)).toBe(-1);
      expect(await mismatch(Uint8Array.from(input), shape)).toBe(-1);
      // Where every code is negative, a padding cell that counted as 0 would win.
      expect(
        await mismatch(
          input.map((code) => -Math.abs(code) - 1),
          shape,
        ),
      ).toBe(-1);
    });
  }

  test('more than 65,535 workgroups are folded into y', async () => {
    const input = new Int8Array(inputLength(HUGE_POOL)).map((_, i) => i * 37);
    expect(await mismatch(input, HUGE_POOL, (values) => values, 32)).toBe(-1);
  });

  test('known-wrong pools are told apart', async () => {
    const shape = POOL_SHAPES['3x3 stride 2 padded'];
    const input = seeded(2).int8s(inputLength(shape), -128, -1);
    const wrongs: Record<string, typeof maxPool2dInt8> = {
      'padding counts as 0': (values, s) =>
        maxPool2dInt8(values, s).map((code, i) => (i < 8 ? 0 : code)) as typeof values,
      'padding shifted': (values, s) => maxPool2dInt8(values, { ...s, padLeft: s.padLeft - 1 }),
      'window too small': (values, s) => maxPool2dInt8(values, { ...s, kernelWidth: s.kernelWidth - 1 }),
      'unsigned comparison': (values, s) =>
        Int8Array.from(maxPool2dInt8(Uint8Array.from(values), s)) as typeof values,
    };
    for (const [name, twin] of Object.entries(wrongs)) {
      const mixed = input.map((code, i) => (i % 3 ? code : ~code));
      const found = [await mismatch(input, shape, twin), await mismatch(mixed, shape, twin)];
      expect(Math.max(...found), name).not.toBe(-1);
    }
  });
});
