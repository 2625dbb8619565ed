import { describe, expect, test } from 'vitest';
import { conv2dInt8 } from '../../src/conv/conv-int8.ts';
import { tileWeights, untileWeights } from '../../src/conv/weight-layout.ts';
import { LloydError } from '../../src/gpu/errors.ts';
import type { AdapterReport } from '../../src/gpu/runtime.ts';
import { checkCoordinates, checkWindowGradient } from '../../src/gpu/window.ts';
import { averagePool2dInt8Kernel } from '../../src/kernels/average-pool2d-int8.ts';
import * as kernels from '../../src/kernels/index.ts';
import { maxPool2dKernel } from '../../src/kernels/max-pool2d.ts';
import { inferShapes } from '../../src/model/graph.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { averagePool2dInt8 } from '../../src/reference/average-pool2d-int8.ts';
import { convIntegerReference } from '../../src/reference/conv-integer.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { type ConvGeometry, conv2dAccumulators, convOutput } from '../../src/reference/conv2d-int8.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseFilterGradient } from '../../src/reference/depthwise-filter-gradient.ts';
import { depthwiseInputGradient } from '../../src/reference/depthwise-input-gradient.ts';
import { maxPool2d } from '../../src/reference/max-pool2d.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import {
  planConv,
  planFilterGradient,
  planInputGradient,
  type ConvGeometry as TrainedGeometry,
  weightLayout,
} from '../../src/train/geometry.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const HALF = 2 ** 31;

type Axis = Pick<WindowCase, 'kernel' | 'stride' | 'dilation' | 'before' | 'after'>;
interface WindowCase {
  name: string;
  kernel: number;
  stride: number;
  dilation: number;
  before: number;
  after: number;
}

const SIZE = 5;
const PLAIN: Axis = { kernel: 2, stride: 1, dilation: 1, before: 1, after: 1 };
/** Windows along an axis of five cells whose coordinates reach an end of int32, and stay inside. */
const FITTING: WindowCase[] = [
  // Output o reads o and o + dilation, the last one 2^31 - 1.
  { name: 'a tap at the far end', kernel: 2, stride: 1, dilation: HALF - 3, before: 0, after: HALF - 5 },
  // Output o reads o - 2^31 and o.
  { name: 'a tap at the near end', kernel: 2, stride: 1, dilation: HALF, before: HALF, after: 0 },
  { name: 'a stride from the near end', kernel: 1, stride: HALF, dilation: 1, before: HALF, after: 0 },
  {
    name: 'strides and taps',
    kernel: 3,
    stride: 2 ** 30,
    dilation: 2 ** 29,
    before: 2 ** 30,
    after: 2 ** 30,
  },
];
/** Those whose gradients fit too: they count from the start of the padding. */
const FITTING_GRADIENTS: WindowCase[] = [
  { name: 'a far tap', kernel: 2, stride: 1, dilation: HALF - 3, before: 0, after: HALF - 5 },
  { name: 'a near tap', kernel: 2, stride: 1, dilation: HALF - 8, before: HALF - 8, after: 0 },
  { name: 'a stride', kernel: 1, stride: HALF - 9, dilation: 1, before: HALF - 9, after: 0 },
  {
    name: 'strides and taps',
    kernel: 3,
    stride: 2 ** 30,
    dilation: 2 ** 29,
    before: 2 ** 30,
    after: 2 ** 30,
  },
];
/** Windows that wrapped into the image. */
const LEAVING: WindowCase[] = [
  { name: 'a dilation', kernel: 2, stride: 1, dilation: 2 ** 32 - 2, before: 4, after: 2 ** 32 - 8 },
  { name: 'a stride', kernel: 1, stride: 2 ** 32 - 2, dilation: 1, before: 4, after: 2 ** 32 - 6 },
  { name: 'a pad', kernel: 1, stride: 2 ** 31, dilation: 1, before: 2 ** 32 - 2, after: 0 },
  { name: 'one too many', kernel: 2, stride: 1, dilation: HALF - 2, before: 0, after: HALF - 4 },
  { name: 'one too few', kernel: 2, stride: 1, dilation: HALF + 1, before: HALF + 1, after: 0 },
];

function geometryOf(
  own: Axis,
  axis: 'rows' | 'columns',
  channels: [number, number],
  groups = 1,
): ConvGeometry {
  const [y, x] = axis === 'rows' ? [own, PLAIN] : [PLAIN, own];
  return {
    batch: 2,
    height: SIZE,
    width: SIZE,
    inChannels: channels[0],
    outChannels: channels[1],
    kernel: [y.kernel, x.kernel],
    strides: [y.stride, x.stride],
    dilations: [y.dilation, x.dilation],
    pads: [y.before, x.before, y.after, x.after],
    groups,
  };
}

const both = (cases: readonly WindowCase[]) =>
  cases.flatMap((own) => (['rows', 'columns'] as const).map((axis) => ({ ...own, axis })));

/** As training takes it. */
function trained(geometry: ConvGeometry): TrainedGeometry {
  const [height, width] = convOutput(geometry);
  const { inChannels, outChannels, groups } = geometry;
  return {
    ...geometry,
    input: { height: SIZE, width: SIZE, channels: inChannels },
    shape: { height, width, channels: outChannels },
    depthwise: groups > 1,
  };
}

type AnyKernel = Parameters<typeof dispatch>[1];
const run = (
  { kernel, params, specialization }: ReturnType<typeof planConv>,
  inputs: Record<string, ArrayBufferView>,
  outputs: Record<string, number>,
) => dispatch(gpu.runtime, kernel as AnyKernel, inputs, outputs, params, specialization);

test('every kernel that pools on request refuses a pool that is neither 0 nor 1', () => {
  const pooling = Object.values(kernels).filter(({ declaration }) => 'pool' in declaration.params);
  expect(pooling.length).toBeGreaterThan(10);
  for (const { declaration } of pooling) {
    expect(() => declaration.check?.(declaration.name, { pool: 2 }, {}), declaration.name).toThrow(
      /pool must be 0, or 1 for the maximum of each 2x2 window; received 2/,
    );
  }
});

test('every kernel that strides refuses windows that leave int32', () => {
  const windows = Object.values(kernels).filter(({ declaration }) => 'strideWidth' in declaration.params);
  expect(windows.length).toBeGreaterThan(20);
  for (const { declaration } of windows) {
    const far = {
      strideHeight: 1,
      strideWidth: 2 ** 30,
      outputHeight: 1,
      outputWidth: 4,
      padLeft: 0,
      padTop: 0,
    };
    const small = { kernelHeight: 1, kernelWidth: 1, inputHeight: 9, inputWidth: 9, height: 9, width: 9 };
    const depth = {
      strideDepth: 1,
      outputDepth: 1,
      kernelDepth: 1,
      inputDepth: 1,
      padDepth: 0,
      padHeight: 0,
    };
    const params = {
      ...far,
      ...small,
      ...('strideDepth' in declaration.params && { ...depth, padWidth: 0 }),
    };
    expect(() => declaration.check?.(declaration.name, params, {}), declaration.name).toThrow(
      /width must have coordinates from -2147483648 to 2147483647.*0 to 3221225472/s,
    );
    expect(() => declaration.check?.(declaration.name, { ...params, outputWidth: 2 }, {})).not.toThrow();
    const high = { ...params, outputWidth: 1, strideHeight: 2 ** 31, outputHeight: 2 };
    expect(() => declaration.check?.(declaration.name, high, {}), declaration.name).toThrow(/height/);
  }
});

test('the ends of int32 are inside, what is next to them is not', () => {
  const axis = { output: 1, kernel: 2, stride: 1, dilation: HALF - 1, before: 0, end: 4 };
  checkCoordinates('w', axis);
  checkCoordinates('w', { ...axis, dilation: 1, before: HALF });
  expect(() => checkCoordinates('w', { ...axis, dilation: HALF })).toThrow(LloydError);
  expect(() => checkCoordinates('w', { ...axis, dilation: 1, before: HALF + 1 })).toThrow(LloydError);
  expect(() => checkCoordinates('w', { ...axis, dilation: 1, end: HALF })).toThrow(/smaller/);
});

test('gradients count from the start of the padding: the ends of int32 are inside there', () => {
  const params = {
    ...{ height: 5, width: 5, outputHeight: 1, outputWidth: 1, strideHeight: 1, strideWidth: 1 },
    ...{ kernelHeight: 2, kernelWidth: 1, dilationHeight: HALF - 1, padTop: 0, padLeft: HALF - 6 },
  };
  checkWindowGradient('w', params);
  for (const far of [{ dilationHeight: HALF }, { padLeft: HALF - 5 }]) {
    expect(() => checkWindowGradient('w', { ...params, ...far })).toThrow(/int32/);
  }
});

describe('windows that reach an end of int32 equal the twin', () => {
  test.each(both(FITTING))('conv2d-int8 of every adapter: $name of $axis', async ({ axis, ...own }) => {
    for (const [channels, groups] of [
      [[8, 16], 1],
      [[6, 6], 6],
    ] as const) {
      const geometry = geometryOf(own, axis, [...channels], groups);
      const random = seeded(5);
      const input = random.int8s(2 * SIZE * SIZE * channels[0]);
      const weightDims = [channels[1], channels[0] / groups, ...geometry.kernel];
      const weight = random.int8s(weightDims.reduce((a, b) => a * b));
      const want = conv2dAccumulators(input, weight, new Int32Array(channels[1]), 3, geometry);
      expect(want.some((value) => value !== 0)).toBe(true);
      for (const software of [null, 'lavapipe', 'swiftshader'] as AdapterReport['software'][]) {
        const output = await conv2dInt8(
          { ...gpu.runtime, adapter: { ...gpu.runtime.adapter, software } },
          { dtype: 'int8', dims: [2, SIZE, SIZE, channels[0]], data: input },
          { dtype: 'int8', dims: weightDims, data: weight },
          { ...geometry, inputZeroPoint: 3 },
        );
        expect(output.data, `${software}`).toEqual(want);
      }
    }
  });

  test.each(both(FITTING))('conv2d and depthwise-conv2d: $name of $axis', async ({ axis, ...own }) => {
    for (const groups of [1, 6]) {
      const geometry = geometryOf(own, axis, [6, 6], groups);
      const layer = trained(geometry);
      const layout = weightLayout(layer);
      const random = seeded(6);
      const input = random.floats(2 * SIZE * SIZE * 6);
      const weights = random.floats((36 / groups) * geometry.kernel[0] * geometry.kernel[1]);
      const ones = new Float32Array(layout.tileCount * layout.tileChannels).fill(1);
      const epilogue = { scale: ones, shift: ones.map(() => 0) };
      const [height, width] = convOutput(geometry);
      const { output } = await run(
        planConv(layer, 2, 0),
        { input: g.padChannels(input, 6), weights: tileWeights(weights, layout), ...epilogue },
        { output: 2 * height * width * 32 },
      );
      const got = new Float32Array(output);
      const want =
        groups === 1
          ? conv2d(input, weights, ones.subarray(0, 6), new Float32Array(6), [-1e30, 1e30], geometry)
          : depthwiseConv2d(input, weights, geometry);
      const stripped = got.filter((_, i) => i % 8 < 6);
      expect(g.relativeL2(stripped, want)).toBeLessThan(1e-5);
    }
  });

  test.each(both(FITTING_GRADIENTS))('gradients: $name of $axis', async ({ axis, ...own }) => {
    for (const groups of [1, 6]) {
      const geometry = geometryOf(own, axis, [6, 6], groups);
      const layer = trained(geometry);
      const layout = weightLayout(layer);
      const random = seeded(7);
      const [height, width] = convOutput(geometry);
      const input = random.floats(2 * SIZE * SIZE * 6);
      const weights = random.floats((36 / groups) * geometry.kernel[0] * geometry.kernel[1]);
      const gradient = random.floats(2 * height * width * 6);
      const { inputGradient } = await run(
        planInputGradient(layer, 2, 0),
        { gradient: g.padChannels(gradient, 6), weights: tileWeights(weights, layout) },
        { inputGradient: 2 * SIZE * SIZE * 32 },
      );
      const [byInput, byFilter] =
        groups === 1
          ? [conv2dInputGradient, conv2dFilterGradient]
          : [depthwiseInputGradient, depthwiseFilterGradient];
      const got = g.stripChannels(new Float32Array(inputGradient), 6);
      expect(g.relativeL2(got, byInput(gradient, weights, geometry))).toBeLessThan(1e-5);

      const plan = planFilterGradient(layer, 2, 0);
      const splits = Math.ceil(plan.params.pixelCount / plan.params.chunk);
      const { partial } = await run(
        plan,
        { input: g.padChannels(input, 6), gradient: g.padChannels(gradient, 6) },
        { partial: splits * layout.length * 4 },
      );
      const sums = Float32Array.from(sumSplits(new Float32Array(partial), splits));
      const want = byFilter(input, gradient, geometry);
      expect(g.relativeL2(untileWeights(sums, layout), want)).toBeLessThan(1e-5);
    }
  });

  test.each(both(FITTING))('pools: $name of $axis', async ({ axis, ...own }) => {
    const geometry = geometryOf(own, axis, [8, 8]);
    const [outputHeight, outputWidth] = convOutput(geometry);
    const shape = {
      batch: 2,
      height: SIZE,
      width: SIZE,
      channels: 8,
      outputHeight,
      outputWidth,
      kernelHeight: geometry.kernel[0],
      kernelWidth: geometry.kernel[1],
      strideHeight: geometry.strides[0],
      strideWidth: geometry.strides[1],
      dilationHeight: geometry.dilations[0],
      dilationWidth: geometry.dilations[1],
      padTop: geometry.pads[0],
      padLeft: geometry.pads[1],
    };
    const { channels, ...sizes } = shape;
    const count = 2 * outputHeight * outputWidth * channels;
    const floats = seeded(8).floats(2 * SIZE * SIZE * channels);
    const max = await dispatch(
      gpu.runtime,
      maxPool2dKernel,
      { input: floats },
      { output: count * 4 },
      { ...sizes, channelVectors: 2 },
    );
    expect(new Float32Array(max.output)).toEqual(maxPool2d(floats, shape));
    const codes = seeded(9).int8s(2 * SIZE * SIZE * channels);
    for (const includePad of [false, true]) {
      const [padBottom, padRight] = [geometry.pads[2], geometry.pads[3]].map((pad) =>
        Math.min(pad, HALF - 1 - SIZE),
      );
      const average = await dispatch(
        gpu.runtime,
        averagePool2dInt8Kernel,
        { input: codes },
        { output: count },
        { ...sizes, padBottom, padRight, channelWords: 2, includePad: includePad ? 1 : 0, zeroPoint: 4 },
        { SIGNED: 1, ROUNDING: 0 },
      );
      const twin = averagePool2dInt8(codes, { ...shape, padBottom, padRight, includePad }, 4, 'half-to-even');
      expect(new Int8Array(average.output), `includePad ${includePad}`).toEqual(twin);
    }
  });
});

describe('ConvInteger and QLinearConv', () => {
  const random = seeded(10);
  const x = { dtype: 'uint8' as const, dims: [1, 2, SIZE], data: Uint8Array.from(random.int8s(10, 0, 127)) };
  const scalar = (value: number) => ({ dtype: 'float32' as const, dims: [], data: Float32Array.of(value) });
  const zero = { dtype: 'uint8' as const, dims: [], data: Uint8Array.of(0) };
  const operators = (own: Axis) => {
    const taps = own.kernel;
    const w = {
      dtype: 'uint8' as const,
      dims: [3, 2, taps],
      data: Uint8Array.from(random.int8s(6 * taps, 0, 9)),
    };
    const attributes = { strides: [own.stride], dilations: [own.dilation], pads: [own.before, own.after] };
    return {
      w,
      integer: () => runOperator(gpu.runtime, 'ConvInteger', [x, w], attributes),
      linear: () =>
        runOperator(
          gpu.runtime,
          'QLinearConv',
          [x, scalar(0.5), zero, w, scalar(0.25), zero, scalar(4), zero],
          attributes,
        ),
    };
  };

  const unused: WindowCase[] = [
    { name: 'a dilation of one tap', kernel: 1, stride: 1, dilation: 2 ** 40, before: 1, after: 0 },
    { name: 'a stride of one window', kernel: 5, stride: 2 ** 40, dilation: 1, before: 0, after: 1 },
  ];
  test.each([...FITTING, ...unused])('are right with $name', async (own) => {
    const { w, integer, linear } = operators(own);
    const [sums] = await integer();
    const want = convIntegerReference(
      x.data,
      w.data,
      { inputZero: 0, weightZeros: [0], bias: [0] },
      {
        input: [1, 2, 1, 1, SIZE],
        weights: [3, 2, 1, 1, own.kernel],
        output: [1, 3, 1, 1, sums.dims[2]],
        groups: 1,
        strides: [1, 1, own.stride],
        dilations: [1, 1, own.dilation],
        pads: [0, 0, own.before],
      },
    );
    expect(sums.data).toEqual(want);
    const [codes] = await linear();
    // By 1/32: ties to even.
    const rounded = Uint8Array.from(want, (sum) => {
      const down = Math.floor(sum / 32);
      const half = sum / 32 - down;
      return down + (half > 0.5 || (half === 0.5 && down % 2 === 1) ? 1 : 0);
    });
    expect(codes.data).toEqual(rounded);
  });

  test.each(LEAVING)('refuse $name', async (own) => {
    const { integer, linear } = operators(own);
    await expect(integer()).rejects.toThrow(/ConvInteger: spatial axis 0.*int32/);
    await expect(linear()).rejects.toThrow(/QLinearConv: spatial axis 0.*int32/);
  });
});

test.each(both(LEAVING))('a graph and conv2dInt8 refuse $name of $axis', async ({ axis, ...own }) => {
  const { kernel, strides, dilations, pads } = geometryOf(own, axis, [4, 4]);
  const graph = (op: 'conv2d' | 'maxPool' | 'averagePool') =>
    inferShapes({
      name: 'far',
      input: { name: 'x', height: SIZE, width: SIZE, channels: 4 },
      nodes: [{ op, name: 'layer', inputs: ['x'], kernel, strides, dilations, pads, outChannels: 4 }],
      output: 'layer',
    });
  const side = axis === 'rows' ? 'height' : 'width';
  expect(() => graph('conv2d')).toThrow(new RegExp(`layer: the window's ${side} must have coordinates`));
  if (own.dilation === 1) {
    // Padding that far reaches past a pool's own kernel, which is refused before coordinates are counted.
    expect(() => graph('maxPool')).toThrow(/layer: .*(int32|pads must be smaller)/);
    expect(() => graph('averagePool')).toThrow(/layer: .*(int32|pads must be smaller)/);
  }
  const data = new Int8Array(4 * SIZE * SIZE);
  const weight = new Int8Array(16 * kernel[0] * kernel[1]);
  await expect(
    conv2dInt8(
      gpu.runtime,
      { dtype: 'int8', dims: [1, SIZE, SIZE, 4], data },
      { dtype: 'int8', dims: [4, 4, ...kernel], data: weight },
      { strides, dilations, pads },
    ),
  ).rejects.toThrow(/int32/);
});
