import { describe, expect, test } from 'vitest';
import { averagePool2dInt8Kernel } from '../../src/kernels/average-pool2d-int8.ts';
import { averagePool2dInt8 } from '../../src/reference/average-pool2d-int8.ts';
import { type AveragePoolShape, forEachWindow } from '../../src/reference/pool-windows.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { HUGE_POOL, inputLength, outputLength, POOL_SHAPES, withPadding } from '../support/pool.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

type Twin = typeof averagePool2dInt8;

async function mismatch(
  input: Int8Array | Uint8Array,
  shape: AveragePoolShape,
  { zeroPoint = 0, rounding = 'half-to-even' as 'half-to-even' | 'truncate', workgroupSize = 64 } = {},
  twin: Twin = averagePool2dInt8,
) {
  const { channels, includePad, ...sizes } = shape;
  const { output } = await dispatch(
    gpu.runtime,
    averagePool2dInt8Kernel,
    { input },
    { output: outputLength(shape) },
    { ...sizes, channelWords: channels / 4, includePad: includePad ? 1 : 0, zeroPoint },
    {
      SIGNED: input instanceof Int8Array ? 1 : 0,
      ROUNDING: rounding === 'truncate' ? 1 : 0,
      WORKGROUP_SIZE: workgroupSize,
    },
  );
  const actual = input instanceof Int8Array ? new Int8Array(output) : new Uint8Array(output);
  return firstDifference(actual, twin(input, shape, zeroPoint, rounding));
}

describe('average-pool2d-int8', () => {
  for (const [name, plain] of Object.entries(POOL_SHAPES)) {
    for (const includePad of [false, true]) {
      test(`${name}, padding ${includePad ? 'counts' : 'left out'}`, async () => {
        const shape = withPadding(plain, includePad);
        // Neighbouring codes: with four or nine cells most averages are ties or near one.
        const narrow = seeded(1).int8s(inputLength(shape), -3, 3);
        const wide = seeded(2).int8s(inputLength(shape));
        for (const input of [narrow, wide, Uint8Array.from(wide)]) {
          for (const rounding of ['half-to-even', 'truncate'] as const) {
            const zeroPoint = input instanceof Int8Array ? -7 : 131;
            expect(await mismatch(input, shape, { zeroPoint, rounding })).toBe(-1);
          }
        }
      });
    }
  }

  test('more than 65,535 workgroups are folded into y', async () => {
    const input = new Int8Array(inputLength(HUGE_POOL)).map((_, i) => i * 37);
    const shape = withPadding(HUGE_POOL, false);
    expect(await mismatch(input, shape, { workgroupSize: 32 }, (values) => values)).toBe(-1);
  });

  test('known-wrong averages are told apart', async () => {
    const shape = withPadding(POOL_SHAPES['2x2 stride 2'], false);
    const input = seeded(3).int8s(inputLength(shape), -3, 3);
    const rule =
      (round: (average: number) => number): Twin =>
      (values, s) => {
        const output = values.slice(0, outputLength(s)) as typeof values;
        forEachWindow(s, (index, cells) => {
          output[index] = round(cells.reduce((sum, cell) => sum + values[cell], 0) / cells.length);
        });
        return output;
      };
    const wrongs = {
      'half up': rule(Math.round),
      'half away from zero': rule((x) => Math.sign(x) * Math.round(Math.abs(x))),
      truncated: rule(Math.trunc),
      floored: rule(Math.floor),
    };
    expect(await mismatch(input, shape)).toBe(-1);
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(input, shape, {}, twin), name).not.toBe(-1);
    const padded = POOL_SHAPES['3x3 stride 2 padded'];
    const values = seeded(4).int8s(inputLength(padded));
    const swapped: Twin = (v, s, ...rest) =>
      averagePool2dInt8(v, { ...s, includePad: !s.includePad }, ...rest);
    expect(await mismatch(values, withPadding(padded, true), {}, swapped)).not.toBe(-1);
  });
});
