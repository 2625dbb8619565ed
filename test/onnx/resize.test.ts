import { describe, expect, test } from 'vitest';
import { COORDINATE_MODES, NEAREST_MODES } from '../../src/graph/ops/interpolation.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { type Attributes, runOperator } from '../../src/onnx/index.ts';
import { expectPeer, int64s, type PeerCase, randomTensor } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(61);
const x = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
const f32s = (...values: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims: [values.length],
  data: Float32Array.from(values),
});
const MODES = COORDINATE_MODES.filter((mode) => !mode.startsWith('tf_'));

const resize = (inputs: PeerCase['inputs'], attributes: Attributes, opset = 19): PeerCase => ({
  operator: 'Resize',
  inputs,
  attributes,
  options: { opset },
});

describe('against ONNX Runtime', () => {
  test('nearest: every coordinate mode and rounding, by scales and by sizes', async () => {
    const cases: PeerCase[] = [];
    for (const coordinate_transformation_mode of MODES) {
      // Its coordinates come of so many roundings that a tie is whatever the order of them makes it: none here.
      const symmetric = coordinate_transformation_mode === 'half_pixel_symmetric';
      for (const nearest_mode of NEAREST_MODES) {
        const attributes = { coordinate_transformation_mode, nearest_mode };
        cases.push(resize([x(1, 2, 5, 7), null, f32s(1, 1, 2, symmetric ? 0.65 : 0.6)], attributes));
        cases.push(resize([x(1, 2, 5, 7), null, null, int64s(1, 2, symmetric ? 4 : 3, 10)], attributes));
        cases.push(resize([x(6, 4), null, null, int64s(1, 9)], attributes));
      }
    }
    cases.push(resize([randomTensor(random, 'int8', [2, 3, 4]), null, f32s(1, 2, 2.5)], {}));
    cases.push(resize([randomTensor(random, 'uint8', [1, 1, 4, 4]), null, f32s(2, 1, 0.5, 1)], {}, 13));
    await expectPeer(gpu.runtime, cases);
  });

  test('linear and cubic: every coordinate mode, shrinking and growing, antialiased and not', async () => {
    const cases: PeerCase[] = [];
    for (const coordinate_transformation_mode of MODES) {
      for (const mode of ['linear', 'cubic']) {
        for (const antialias of [0, 1]) {
          if (antialias && coordinate_transformation_mode !== 'half_pixel') continue;
          const attributes = { coordinate_transformation_mode, mode, ...(antialias && { antialias }) };
          cases.push(resize([x(1, 2, 5, 7), null, f32s(1, 1, 2, 0.6)], attributes));
          cases.push(resize([x(2, 1, 6, 4), null, null, int64s(2, 1, 3, 9)], attributes));
          cases.push(resize([x(7, 5), null, null, int64s(1, 12)], attributes));
        }
        if (mode === 'cubic') {
          const exclude_outside = 1;
          cases.push(
            resize([x(1, 1, 6, 5), null, f32s(1, 1, 1.7, 0.8)], {
              coordinate_transformation_mode,
              mode,
              exclude_outside,
              cubic_coeff_a: -0.5,
            }),
          );
        }
      }
    }
    cases.push(resize([x(1, 2, 3, 4, 5), null, f32s(1, 1, 2, 1.5, 0.8)], { mode: 'linear' }));
    await expectPeer(gpu.runtime, sampled('interpolations', cases, 40), 2e-5);
  });

  test('crops, and what lies outside them', async () => {
    const roi = f32s(0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2);
    const attributes = { coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: 7.5 };
    await expectPeer(gpu.runtime, [
      resize([x(1, 1, 5, 6), roi, null, int64s(1, 1, 4, 7)], { ...attributes, mode: 'linear' }),
      resize([x(1, 1, 5, 6), roi, null, int64s(1, 1, 1, 7)], { ...attributes, mode: 'linear' }),
      resize([x(1, 1, 5, 6), roi, null, int64s(1, 1, 4, 7)], { ...attributes, mode: 'nearest' }),
    ]);
  });

  test('axes, policies of aspect ratio, and the definitions of older opsets', async () => {
    const empty = f32s();
    await expectPeer(gpu.runtime, [
      resize([x(1, 2, 5, 7), null, null, int64s(9, 3)], { axes: [3, 2], mode: 'linear' }),
      resize([x(1, 2, 5, 7), null, f32s(2), null], { axes: [-1] }),
      ...['not_larger', 'not_smaller'].map((keep_aspect_ratio_policy) =>
        resize([x(1, 1, 5, 7), null, null, int64s(10, 10)], { axes: [2, 3], keep_aspect_ratio_policy }),
      ),
      resize(
        [x(1, 1, 4, 4), empty, f32s(1, 1, 2, 3)],
        { mode: 'linear', coordinate_transformation_mode: 'asymmetric' },
        11,
      ),
      resize(
        [x(1, 1, 4, 4), empty, empty, int64s(1, 1, 3, 7)],
        { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
        11,
      ),
      resize([x(1, 1, 5, 5), f32s(1, 1, 2, 1.6)], { mode: 'nearest' }, 10),
      resize([x(1, 1, 5, 5), f32s(1, 1, 0.6, 0.4)], { mode: 'nearest' }, 10),
      resize([x(1, 1, 5, 5), f32s(1, 1, 2, 0.6)], { mode: 'linear' }, 10),
      {
        operator: 'Upsample',
        inputs: [x(1, 1, 2, 3), f32s(1, 1, 2, 3)],
        options: { opset: 9 },
        attributes: { mode: 'linear' },
      },
      { operator: 'Upsample', inputs: [x(1, 1, 2, 3), f32s(1, 1, 2, 2)], options: { opset: 9 } },
    ]);
  });
});

test('a long axis is resized, too', async () => {
  const long = x(1, 1, 200_000);
  const [y] = await runOperator(gpu.runtime, 'Resize', [long, null, f32s(1, 1, 2)], {
    mode: 'nearest',
    nearest_mode: 'floor',
  });
  expect(y.dims).toEqual([1, 1, 400_000]);
  expect(y.data[399_999]).toBe(long.data[199_999]);
});
