import { expect, test } from 'vitest';
import type { Lanes } from '../../src/conv/tile.ts';
import type { CompiledKernel } from '../../src/gpu/kernel.ts';
import {
  type ConvGeometry,
  convChoices,
  planConv,
  planFilterGradient,
  planInputGradient,
} from '../../src/train/geometry.ts';

const conv = (channels: number, outChannels: number, depthwise = false): ConvGeometry => ({
  input: { height: 8, width: 8, channels },
  shape: { height: 8, width: 8, channels: outChannels },
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
  depthwise,
});
const plans = (geometry: ConvGeometry, batch: number, lanes: Lanes) =>
  [planConv, planInputGradient, planFilterGradient].map((plan) => plan(geometry, batch, lanes));
const nameOf = (kernel: unknown) =>
  (kernel as { declaration: Pick<CompiledKernel, 'name'> }).declaration.name;

test.each([0, 4, 8] as const)(
  'every plan for %i lanes is one of its choices, which all have them',
  (lanes) => {
    const choices = Object.values(convChoices(lanes)).flatMap(({ kernel, specializations }) =>
      specializations.map((own: object) => JSON.stringify([nameOf(kernel), own])),
    );
    for (const geometry of [conv(3, 4), conv(16, 16), conv(17, 40), conv(64, 128)]) {
      for (const { kernel, specialization } of [1, 8, 64].flatMap((batch) => plans(geometry, batch, lanes))) {
        expect(choices).toContain(JSON.stringify([nameOf(kernel), specialization]));
        expect(nameOf(kernel).endsWith('-broadcast')).toBe(lanes > 0);
        expect(specialization.LANES).toBe(lanes > 0 ? `${lanes}u` : undefined);
      }
    }
  },
);

test('depthwise convolutions keep their own kernels', () => {
  expect(plans(conv(32, 32, true), 8, 8).map(({ kernel }) => nameOf(kernel))).toEqual([
    'depthwise-conv2d',
    'depthwise-input-gradient',
    'depthwise-filter-gradient',
  ]);
});
