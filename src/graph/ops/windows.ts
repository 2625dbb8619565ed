import { checkCoordinates } from '../../gpu/window.ts';
import type { Node } from './node.ts';

/** Windows over spatial dimensions: what Conv, its integer kin and the pools have in common. */
export interface Windows {
  kernel: readonly number[];
  strides: readonly number[];
  dilations: readonly number[];
  /** Padding before each dimension. */
  before: readonly number[];
  /** Padding behind it; with auto_pad as much as the windows reach, at least 0. */
  after: readonly number[];
  /** Windows along each dimension. */
  output: readonly number[];
}

export const WINDOW_ATTRIBUTES = ['auto_pad', 'kernel_shape', 'pads', 'strides'];

export const extentOf = (kernel: number, dilation: number) => (kernel - 1) * dilation + 1;

/** Reads and checks the attributes of windows over `spatial` dimensions. */
export function windowAttributes(node: Node, kernel: readonly number[]) {
  const spatial = kernel.length;
  const ones = kernel.map(() => 1);
  const strides = node.sized('strides', spatial, 1, ones);
  const dilations = node.sized('dilations', spatial, 1, ones);
  const autoPad = node.choice('auto_pad', ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'], 'NOTSET');
  const pads = node.sized('pads', spatial * 2, 0, [...ones, ...ones].fill(0));
  node.ensure(
    autoPad === 'NOTSET' || pads.every((pad) => pad === 0),
    `pads cannot be used together with auto_pad ${autoPad}`,
    pads,
  );
  return { strides, dilations, autoPad, pads };
}

/** Where windows of `kernel` lie over spatial dimensions of `size`; `ceil` lets the last one reach beyond the padding. */
export function windowsOf(
  node: Node,
  size: readonly number[],
  kernel: readonly number[],
  ceil = false,
): Windows {
  const { strides, dilations, autoPad, pads } = windowAttributes(node, kernel);
  const before: number[] = [];
  const after: number[] = [];
  const output = size.map((length, i) => {
    const extent = extentOf(kernel[i], dilations[i]);
    if (autoPad.startsWith('SAME')) {
      const steps = Math.ceil(length / strides[i]);
      const total = Math.max((steps - 1) * strides[i] + extent - length, 0);
      before.push(autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2));
      after.push(total - before[i]);
      return steps;
    }
    before.push(pads[i]);
    after.push(pads[i + size.length]);
    const padded = length + before[i] + after[i];
    node.ensure(
      padded >= extent,
      `the padded input must be at least as large as the kernel's extent, ${extent}`,
      padded,
    );
    const steps = (padded - extent) / strides[i];
    if (!ceil || autoPad === 'VALID') return Math.floor(steps) + 1;
    // A window that would begin behind the input and the padding before it is none.
    return Math.ceil(steps) * strides[i] >= length + before[i] ? Math.ceil(steps) : Math.ceil(steps) + 1;
  });
  // A step that is never taken may be of any length.
  const taken = (steps: readonly number[], counts: readonly number[]) =>
    steps.map((step, i) => (counts[i] > 1 ? step : 1));
  const [strode, dilated] = [taken(strides, output), taken(dilations, kernel)];
  for (const [i, end] of size.entries()) {
    const steps = { output: output[i], kernel: kernel[i], stride: strode[i], dilation: dilated[i] };
    checkCoordinates(`${node.operator}: spatial axis ${i}`, { ...steps, before: before[i], end });
  }
  return { kernel, strides: strode, dilations: dilated, before, after, output };
}

/** One to three spatial values, led up to three by `fill`. */
export const three = (values: readonly number[], fill: number) => [
  ...Array<number>(3 - values.length).fill(fill),
  ...values,
];

/** Three values as params of a kernel: `nameDepth`, `nameHeight`, `nameWidth`. */
export function spatialParams<N extends string>(name: N, values: readonly number[], fill: number) {
  const [depth, height, width] = three(values, fill);
  return { [`${name}Depth`]: depth, [`${name}Height`]: height, [`${name}Width`]: width } as Record<
    `${N}${'Depth' | 'Height' | 'Width'}`,
    number
  >;
}
