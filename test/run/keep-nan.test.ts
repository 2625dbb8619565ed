// Sessions refuse a NaN; kernels that are given one keep it, behind a ReLU and a pool as well.
import { expect, test } from 'vitest';
import type { AdapterReport } from '../../src/gpu/runtime.ts';
import { lowerModel } from '../../src/lower/lower-model.ts';
import type { ImageNode } from '../../src/model/graph.ts';
import { buildExecutor } from '../../src/run/executor.ts';
import type { CompileOptions } from '../../src/run/session.ts';
import { handMade } from '../support/hand-made.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

/** A convolution with `after` behind it; then as many values as there are pixels and channels. */
function network(after: readonly ImageNode[]) {
  const random = seeded(41);
  const conv: ImageNode = {
    ...{ op: 'conv2d', name: 'c', inputs: ['x'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 8 },
  };
  return handMade([6, 6, 4], [conv, ...after], {
    'c.weight': [[8, 4, 3, 3], random.floats(288)],
    'c.bias': [[8], random.floats(8)],
    'd.weight': [[8, 4, 1, 1], random.floats(32)],
  });
}

/** The output of every pixel and channel. */
async function run(
  model: ReturnType<typeof network>,
  images: Float32Array,
  { kernels }: CompileOptions,
  adapter: Partial<AdapterReport>,
) {
  const runtime = { ...context.runtime, adapter: { ...context.runtime.adapter, ...adapter } };
  const batch = images.length / 144;
  const lowered = await lowerModel(runtime, model, batch, { kernels });
  const operand = lowered.outputs[0].operand!;
  const executor = await buildExecutor(runtime, lowered, new Set([operand.tensor]));
  try {
    const { call, data } = executor.enter(0, images);
    executor.write(0, data);
    runtime.submit([call!, ...executor.calls]);
    const { buffer } = executor.arena.buffer(operand);
    const { height, width, channels } = lowered.steps[lowered.steps.length - 1].shape;
    return new Float32Array(await runtime.read(buffer, batch * height * width * channels * 4));
  } finally {
    executor.destroy();
  }
}

const relu: ImageNode = { op: 'relu', name: 'r', inputs: ['c'] };
const pool: ImageNode = { op: 'maxPool', name: 'p', inputs: ['r'], kernel: [2, 2], strides: [2, 2] };
const families: [string, CompileOptions, Partial<AdapterReport>][] = [
  ['registers', { kernels: 'registers' }, { software: null }],
  ['broadcast', { kernels: 'registers' }, { software: 'lavapipe' }],
  ['unrolled', { kernels: 'registers' }, { software: 'swiftshader', subgroupSize: 0 }],
  ['unrolled-broadcast', { kernels: 'registers' }, { software: 'swiftshader' }],
  ['tiled', { kernels: 'tiled' }, {}],
];

const random = seeded(2);
const clean = Float32Array.from({ length: 2 * 144 }, () => random.next() - 0.5);
const bad = clean.slice();
bad[4 * (2 * 6 + 3) + 1] = Number.NaN; // row 2, column 3 of the first image

/** Which values the NaN can reach, by the window of pixels that see it. */
function expectKept(
  dirty: Float32Array,
  whole: Float32Array,
  reached: (y: number, x: number) => boolean,
  width: number,
) {
  expect(whole.every(Number.isFinite)).toBe(true);
  let kept = 0;
  const perImage = whole.length / 2;
  for (const [i, value] of dirty.entries()) {
    const pixel = Math.floor((i % perImage) / (perImage / (width * width)));
    const hit = i < perImage && reached(Math.floor(pixel / width), pixel % width);
    if (hit) kept += Number.isNaN(value) ? 1 : 0;
    expect(Number.isNaN(value), `${i}`).toBe(hit);
  }
  expect(kept).toBeGreaterThan(0);
}

const near = (y: number, x: number) => Math.abs(y - 2) <= 1 && Math.abs(x - 3) <= 1;
const nearPool = (y: number, x: number) =>
  [0, 1].some((dy) => [0, 1].some((dx) => near(y * 2 + dy, x * 2 + dx)));

test.each(families)(
  '%s: a convolution with a ReLU, and with a pool behind it',
  async (_, options, adapter) => {
    for (const [nodes, reached, width] of [
      [[relu], near, 6],
      [[relu, pool], nearPool, 3],
    ] as const) {
      const model = network(nodes);
      const whole = await run(model, clean, options, adapter);
      expectKept(await run(model, bad, options, adapter), whole, reached, width);
    }
  },
);

test('depthwise: a NaN reaches the channels of its own filters, and no others', async () => {
  for (const [after, reached, width] of [
    [[relu], near, 6],
    [[relu, pool], nearPool, 3],
  ] as const) {
    const depthwise: ImageNode = {
      ...{ op: 'conv2d', name: 'c', inputs: ['x'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 8 },
      groups: 4,
    };
    const model = handMade([6, 6, 4], [depthwise, ...after], {
      'c.weight': [[8, 1, 3, 3], random.floats(72)],
    });
    const whole = await run(model, clean, {}, {});
    const dirty = await run(model, bad, {}, {});
    const own = (values: Float32Array) => values.filter((_, i) => i % 8 === 2 || i % 8 === 3);
    expectKept(own(dirty), own(whole), reached, width);
    const others = (values: Float32Array) => values.filter((_, i) => i % 8 < 2 || i % 8 > 3);
    expect(others(dirty)).toEqual(others(whole));
  }
});

test('sums, concatenations and pools of their own', async () => {
  const d: ImageNode = { op: 'conv2d', name: 'd', inputs: ['x'], kernel: [1, 1], outChannels: 8 };
  const six = (name: string, input: string): ImageNode => ({ op: 'relu6', name, inputs: [input] });
  const sum = [d, { op: 'add', name: 'a', inputs: ['c', 'd'] }, six('r', 'a')] as ImageNode[];
  const joined = [relu, { op: 'concat', name: 'j', inputs: ['c', 'r'] }, six('q', 'j')] as ImageNode[];
  const wide: ImageNode = {
    ...{ op: 'maxPool', name: 'p', inputs: ['c'], kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] },
  };
  const wider = (y: number, x: number) => Math.abs(y - 2) <= 2 && Math.abs(x - 3) <= 2;
  for (const [nodes, reached] of [
    [sum, near],
    [joined, near],
    [[wide], wider],
  ] as const) {
    const model = network(nodes);
    const whole = await run(model, clean, {}, {});
    expectKept(await run(model, bad, {}, {}), whole, reached, 6);
  }
});
