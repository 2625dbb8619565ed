// Blocks as exporters write them, of sizes that the file leaves open: floats, integers and codebooks as ONNX Runtime has them.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { readOnnx, supportedNodes, writeOnnx } from '../../src/onnx/index.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { float, floats, runOnOrt } from '../support/onnx-models.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
type Feeds = Record<string, OnnxTensor>;

/** Weights that leave values as large as they were. */
function weighing(seed: number, terms: number, ...dims: number[]): OnnxTensor {
  const { data, ...rest } = floats(seed, ...dims);
  return { ...rest, data: (data as Float32Array).map((value) => value / Math.sqrt(terms)) } as OnnxTensor;
}

/** A decoder's block: rotary positions, two groups of keys for four heads, a cache of any length. */
function decoder(): GraphModel {
  const w = new GraphWriter('decoder', 17);
  const [heads, groups, size, width] = [4, 2, 8, 32];
  const x = w.input(float('x', 1, 'new', width));
  const past = ['past_k', 'past_v'].map((name) => w.input(float(name, 1, groups, 'past', size)));
  const op = (type: string, name: string, inputs: (string | null)[], attributes = {}) =>
    w.node(type, name, inputs, attributes);
  const ints = (name: string, ...values: number[]) => w.integers(name, values);
  const along = (value: string, axis: number, name: string) =>
    op('Gather', name, [op('Shape', `${name}/shape`, [value]), ints(`${name}/axis`, axis)]);
  const rms = (value: string, name: string) => {
    const square = op('Pow', `${name}/square`, [value, w.scalar(`${name}/two`, 2)]);
    const mean = op('ReduceMean', `${name}/mean`, [square], { axes: [-1] });
    const root = op('Sqrt', `${name}/root`, [
      op('Add', `${name}/moved`, [mean, w.scalar(`${name}/eps`, 1e-6)]),
    ]);
    return op('Mul', name, [
      op('Div', `${name}/scaled`, [value, root]),
      w.constant(`${name}.weight`, floats(9, width)),
    ]);
  };
  const linear = (value: string, name: string, from: number, to: number) =>
    op('MatMul', name, [value, w.constant(`${name}.weight`, weighing(name.length, from, from, to))]);
  const [before, count] = [along(past[0], 2, 'before'), along(x, 1, 'count')];
  const whole = op('Add', 'whole', [before, count]);
  const scalar = (value: string) => op('Squeeze', `${value}/scalar`, [value]);
  const one = w.constant('one', { dtype: 'int64', dims: [], data: BigInt64Array.of(1n) });
  const zero = w.constant('zero', { dtype: 'int64', dims: [], data: BigInt64Array.of(0n) });
  const positions = op('Range', 'positions', [scalar(before), scalar(whole), one]);
  const rows = op('Unsqueeze', 'rows', [positions, ints('last', 1)]);
  const frequencies = Float32Array.from({ length: size / 2 }, (_, i) => 10000 ** ((-2 * i) / size));
  const angles = op('Mul', 'angles', [
    op('Cast', 'rows/float', [rows], { to: 1 }),
    w.constant('frequencies', { dtype: 'float32', dims: [1, size / 2], data: frequencies }),
  ]);
  const both = op('Concat', 'both', [angles, angles], { axis: -1 });
  const [cos, sin] = ['Cos', 'Sin'].map((type) => op(type, type, [both]));
  const split = (value: string, name: string, n: number) =>
    op('Transpose', name, [op('Reshape', `${name}/apart`, [value, ints(`${name}/to`, 0, 0, n, size)])], {
      perm: [0, 2, 1, 3],
    });
  const rotate = (value: string, name: string) => {
    const half = (from: number, to: number, own: string) =>
      op('Slice', own, [value, ints(`${own}/from`, from), ints(`${own}/to`, to), ints(`${own}/axis`, -1)]);
    const [low, high] = [half(0, size / 2, `${name}/low`), half(size / 2, 2 ** 31, `${name}/high`)];
    const turned = op('Concat', `${name}/turned`, [op('Neg', `${name}/negative`, [high]), low], { axis: -1 });
    return op('Add', name, [op('Mul', `${name}/cos`, [value, cos]), op('Mul', `${name}/sin`, [turned, sin])]);
  };
  const normal = rms(x, 'norm');
  const q = rotate(split(linear(normal, 'q', width, heads * size), 'q/heads', heads), 'q/rotated');
  const k = rotate(split(linear(normal, 'k', width, groups * size), 'k/heads', groups), 'k/rotated');
  const v = split(linear(normal, 'v', width, groups * size), 'v/heads', groups);
  const present = [k, v].map((value, i) =>
    op('Concat', i === 0 ? 'present_k' : 'present_v', [past[i], value], { axis: 2 }),
  );
  const repeated = present.map((value, i) => {
    const name = `repeated ${i}`;
    const shape = [ints(`${name}/a`, 1, groups, heads / groups), whole, ints(`${name}/b`, size)];
    const wide = op('Expand', `${name}/wide`, [
      op('Unsqueeze', `${name}/group`, [value, ints(`${name}/axis`, 2)]),
      op('Concat', `${name}/shape`, shape, { axis: 0 }),
    ]);
    const flat = [ints(`${name}/c`, 1, heads), whole, ints(`${name}/d`, size)];
    return op('Reshape', name, [wide, op('Concat', `${name}/flat`, flat, { axis: 0 })]);
  });
  const scores = op('Mul', 'scores', [
    op('MatMul', 'products', [q, op('Transpose', 'kt', [repeated[0]], { perm: [0, 1, 3, 2] })]),
    w.scalar('share', 1 / Math.sqrt(size)),
  ]);
  const places = op('Unsqueeze', 'places', [
    op('Range', 'all', [zero, scalar(whole), one]),
    ints('first', 0),
  ]);
  const hidden = op('Greater', 'hidden', [places, rows]);
  const masked = op('Where', 'masked', [hidden, w.scalar('none', -Infinity), scores]);
  const mixed = op('MatMul', 'mixed', [op('Softmax', 'weights', [masked], { axis: -1 }), repeated[1]]);
  const joined = op('Reshape', 'joined', [
    op('Transpose', 'mixed/rows', [mixed], { perm: [0, 2, 1, 3] }),
    ints('joined/to', 0, 0, heads * size),
  ]);
  const sum = op('Add', 'sum', [x, linear(joined, 'out', heads * size, width)]);
  const inner = linear(rms(sum, 'norm2'), 'gate_up', width, 96);
  const [gate, up] = w.several('Split', 'parts', [inner, ints('sizes', 48, 48)], { axis: -1 }, 2);
  const active = op('Mul', 'active', [op('Mul', 'silu', [gate, op('Sigmoid', 'sigmoid', [gate])]), up]);
  return w.model([op('Add', 'y', [sum, linear(active, 'down', 48, width)]), ...present]);
}

/** A detector's head: boxes as distributions over 8 steps on a grid of anchors, of images of any size. */
function detector(): GraphModel {
  const w = new GraphWriter('detector', 17);
  const x = w.input(float('image', 1, 3, 'height', 'width'));
  const op = (type: string, name: string, inputs: (string | null)[], attributes = {}) =>
    w.node(type, name, inputs, attributes);
  const ints = (name: string, ...values: number[]) => w.integers(name, values);
  const conv = (value: string, name: string, dims: number[], attributes: object) => {
    const weight = w.constant(
      `${name}.weight`,
      weighing(name.length, (2 * dims.reduce((a, b) => a * b)) / dims[0], ...dims),
    );
    return op('Conv', name, [value, weight, w.constant(`${name}.bias`, floats(4, dims[0]))], attributes);
  };
  const silu = (value: string, name: string) =>
    op('Mul', name, [value, op('Sigmoid', `${name}/sigmoid`, [value])]);
  const down = { strides: [2, 2], pads: [1, 1, 1, 1] };
  const stem = silu(conv(x, 'stem', [8, 3, 3, 3], down), 'stem/silu');
  const features = silu(conv(stem, 'features', [16, 8, 3, 3], down), 'features/silu');
  const [steps, classes] = [8, 3];
  const made = conv(features, 'head', [4 * steps + classes, 16, 1, 1], {});
  const flat = op('Reshape', 'flat', [made, ints('flat/to', 1, 4 * steps + classes, -1)]);
  const [boxes, scores] = w.several(
    'Split',
    'parts',
    [flat, ints('sizes', 4 * steps, classes)],
    { axis: 1 },
    2,
  );
  const apart = op('Reshape', 'apart', [boxes, ints('apart/to', 1, 4, steps, -1)]);
  const likely = op('Softmax', 'likely', [op('Transpose', 'steps', [apart], { perm: [0, 2, 1, 3] })], {
    axis: 1,
  });
  const ramp = Float32Array.from({ length: steps }, (_, i) => i);
  const weights = w.constant('ramp', { dtype: 'float32', dims: [1, steps, 1, 1], data: ramp });
  const sides = op('Reshape', 'sides', [
    op('Conv', 'expected', [likely, weights]),
    ints('sides/to', 1, 4, -1),
  ]);
  const one = w.constant('one', { dtype: 'int64', dims: [], data: BigInt64Array.of(1n) });
  const zero = w.constant('zero', { dtype: 'int64', dims: [], data: BigInt64Array.of(0n) });
  const shape = op('Shape', 'shape', [features]);
  const axes = [3, 2].map((axis) => {
    const own = w.constant(`axis ${axis}`, {
      dtype: 'int64',
      dims: [],
      data: BigInt64Array.of(BigInt(axis)),
    });
    const range = op('Range', `range ${axis}`, [zero, op('Gather', `size ${axis}`, [shape, own]), one]);
    const middle = op('Cast', `middle ${axis}/float`, [range], { to: 1 });
    const places = op('Add', `middle ${axis}`, [middle, w.scalar(`half ${axis}`, 0.5)]);
    return op('Reshape', `line ${axis}`, [
      places,
      ints(`line ${axis}/to`, ...(axis === 3 ? [1, -1] : [-1, 1])),
    ]);
  });
  const grid = op('Slice', 'grid', [shape, ints('two', 2), ints('four', 4)]);
  const anchors = op(
    'Concat',
    'anchors',
    axes.map((line, i) =>
      op('Reshape', `anchors ${i}`, [
        op('Expand', `wide ${i}`, [line, grid]),
        ints(`anchors ${i}/to`, 1, 1, -1),
      ]),
    ),
    { axis: 1 },
  );
  const part = (from: number, name: string) =>
    op('Slice', name, [
      sides,
      ints(`${name}/from`, from),
      ints(`${name}/to`, from + 2),
      ints(`${name}/axis`, 1),
    ]);
  const [left, right] = [
    op('Sub', 'left', [anchors, part(0, 'before')]),
    op('Add', 'right', [anchors, part(2, 'behind')]),
  ];
  const centre = op('Div', 'centre', [op('Add', 'twice', [left, right]), w.scalar('halved', 2)]);
  const box = op('Concat', 'box', [centre, op('Sub', 'extent', [right, left])], { axis: 1 });
  const scaled = op('Mul', 'scaled', [box, w.scalar('stride', 4)]);
  return w.model([op('Concat', 'y', [scaled, op('Sigmoid', 'classes', [scores])], { axis: 1 })]);
}

const cache = (seed: number, length: number) => ({
  past_k: floats(seed, 1, 2, length, 8),
  past_v: floats(seed + 1, 1, 2, length, 8),
});

describe.each<[string, GraphModel, Feeds[], sqnr: number, palette: number]>([
  [
    'a decoder block',
    decoder(),
    [
      { x: floats(1, 1, 3, 32), ...cache(2, 5) },
      { x: floats(4, 1, 1, 32), ...cache(5, 8) },
      { x: floats(7, 1, 4, 32), ...cache(8, 0) },
    ],
    ...([28, 14] as const),
  ],
  [
    'a detector’s head',
    detector(),
    [{ image: floats(1, 1, 3, 24, 32) }, { image: floats(2, 1, 3, 16, 20) }],
    ...([45, 35] as const),
  ],
])('%s', (_, model, samples, least, palette) => {
  const shapesOf = (feeds: Feeds) =>
    Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
  const run = async (network: GraphModel | QuantizedModel) => {
    const session = await compile(gpu.runtime, network, { shapes: shapesOf(samples[0]) });
    const made = [];
    for (const feeds of samples) made.push(await session.run(feeds));
    session.destroy();
    return made;
  };
  /** The least SQNR of any output of any sample, in dB. */
  const sqnr = (got: Feeds[], want: Record<string, { dims: readonly number[]; data: unknown }>[]) => {
    let least = Infinity;
    for (const [i, outputs] of want.entries()) {
      for (const [name, { dims, data }] of Object.entries(outputs)) {
        expect(got[i][name].dims).toEqual(dims);
        let [signal, noise] = [0, 0];
        for (const [k, value] of (data as Float32Array).entries()) {
          signal += value ** 2;
          noise += (value - Number(got[i][name].data[k])) ** 2;
        }
        least = Math.min(least, 10 * Math.log10(signal / noise));
      }
    }
    return least;
  };
  const ofFile = (bytes: Uint8Array) => Promise.all(samples.map((feeds) => runOnOrt(bytes, feeds)));

  test('runs whole, at every size', async () => {
    const file = writeOnnx(model);
    const read = readOnnx(file);
    expect(supportedNodes(read, { shapes: shapesOf(samples[0]) }).refused).toEqual([]);
    expect(sqnr(await run(read), await ofFile(file))).toBeGreaterThan(110);
  });

  test('quantizes from samples of several sizes', async () => {
    const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: samples });
    const own = await run(int8);
    const got = sqnr(own, await run(model));
    console.log(`8 bit: ${got.toFixed(1)} dB`);
    expect(got).toBeGreaterThan(least);
    for (const format of ['qdq', 'qoperator'] as const)
      expect(sqnr(own, await ofFile(writeOnnx(int8, { format }))), format).toBeGreaterThan(30);
  });

  test('takes codebooks', async () => {
    const made = await quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 4 });
    const own = await run(made);
    const got = sqnr(own, await run(model));
    console.log(`4 bit: ${got.toFixed(1)} dB`);
    expect(got).toBeGreaterThan(palette);
    expect(sqnr(own, await ofFile(writeOnnx(made, { format: 'codebook' })))).toBeGreaterThan(110);
  });
});
