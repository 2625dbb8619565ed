// The odd models of the wild, small: each as ONNX Runtime has it, in floats or in integers, or refused by name.
import { describe, expect, test } from 'vitest';
import type { GraphModel, ValueInfo } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fromWords, numbersOf } from '../../src/graph/ops/value.ts';
import { readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { compile } from '../../src/run/session.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(2027);
const image: ValueInfo = { name: 'x', dtype: 'float32', shape: [1, 3, 6, 5] };
const floats = (...dims: number[]) => fromWords('float32', dims, random.floats(dims.reduce((a, b) => a * b)));
const feed = { x: floats(1, 3, 6, 5) };
const integers = (dtype: OnnxTensor['dtype'], low: number, high: number, ...dims: number[]) =>
  fromWords(
    dtype,
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.integer(low, high)),
  );
const scalar = (value: number) => fromWords('float32', [], [value]);
const conv = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1], dilations: [1, 1], group: 1 };

/** A graph by what it is made of; QDQ pairs by name. */
class Odd extends GraphWriter {
  readonly x: string;
  constructor(opset = 21) {
    super('odd', opset);
    this.x = this.input(image);
  }

  /** A value through a quantizer of these. */
  qdq(name: string, value: string, scale: number, zero: OnnxTensor): string {
    const by = [this.constant(`${name}.scale`, scalar(scale)), this.constant(`${name}.zero`, zero)];
    return this.node('DequantizeLinear', `${name}.float`, [
      this.node('QuantizeLinear', `${name}.codes`, [value, ...by]),
      ...by,
    ]);
  }

  /** A constant as codes that are dequantized. */
  codes(name: string, codes: OnnxTensor, scale: OnnxTensor, zero: OnnxTensor | null, axis = 0): string {
    return this.node(
      'DequantizeLinear',
      `${name}.float`,
      [
        this.constant(`${name}.codes`, codes),
        this.constant(`${name}.scale`, scale),
        ...(zero ? [this.constant(`${name}.zero`, zero)] : []),
      ],
      { axis },
    );
  }
}

const signed = (value: number) => fromWords('int8', [], [value]);
const unsigned = (value: number) => fromWords('uint8', [], [value]);
/** Steps of the output that rounding in integers may be off by, where sums are not exactly ONNX Runtime's floats. */
const STEP = 0.05;

/** What it takes here against ONNX Runtime: kernels, and the largest distance as a share of the largest value. */
async function held(model: GraphModel): Promise<{ kernels: string[]; apart: number }> {
  const bytes = writeOnnx(model);
  const theirs = await runOnOrt(bytes, feed);
  const session = await compile(gpu.runtime, readOnnx(bytes));
  const got = await session.run(feed);
  const kernels = session.plan().map(({ kernel }) => kernel);
  session.destroy();
  let apart = 0;
  for (const [name, tensor] of Object.entries(got)) {
    const want = theirs[name].data as Float32Array;
    expect(tensor.dims).toEqual([...theirs[name].dims]);
    const most = want.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    const own = numbersOf(tensor);
    apart = Math.max(apart, ...own.map((value, i) => Math.abs(value - Number(want[i])) / most));
  }
  return { kernels, apart };
}

describe('quantized', () => {
  test('an int32 bias with a zero point', async () => {
    const w = new Odd();
    const x = w.qdq('x', w.x, 0.02, signed(3));
    const weight = w.codes('w', integers('int8', -127, 127, 4, 3, 3, 3), scalar(0.01), null);
    const bias = w.codes(
      'b',
      integers('int32', -500, 500, 4),
      scalar(0.02 * 0.01),
      fromWords('int32', [], [0]),
    );
    const y = w.qdq('y', w.node('Conv', 'conv', [x, weight, bias], conv), 0.05, signed(-4));
    const { kernels, apart } = await held(w.model([y]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.some((kernel) => kernel.startsWith('conv2d-int8'))).toBe(true);
  });

  test.each([0, 128, 7])('uint8 weights with a zero point of %i', async (zero) => {
    const w = new Odd();
    const x = w.qdq('x', w.x, 0.02, unsigned(131));
    const weight = w.codes('w', integers('uint8', 0, 255, 4, 3, 3, 3), scalar(0.01), unsigned(zero));
    const y = w.qdq('y', w.node('Conv', 'conv', [x, weight], conv), 0.4, unsigned(100));
    const { kernels, apart } = await held(w.model([y]));
    // Without a fast integer layer for it the sums are floats: a tie may fall the other way.
    expect(apart).toBeLessThan(zero === 128 ? 1e-5 : STEP);
    expect(kernels.some((kernel) => kernel.startsWith('conv2d-int8'))).toBe(zero === 128);
  });

  test('a scale a channel on axis 1, of a matrix', async () => {
    const w = new Odd();
    const flat = w.node('Flatten', 'flat', [w.qdq('x', w.x, 0.02, signed(0))]);
    const scales = fromWords(
      'float32',
      [7],
      Array.from({ length: 7 }, (_, i) => 0.004 + i / 1000),
    );
    const weight = w.codes('w', integers('int8', -127, 127, 90, 7), scales, null, 1);
    const y = w.qdq('y', w.node('MatMul', 'product', [flat, weight]), 0.05, signed(2));
    const { kernels, apart } = await held(w.model([y]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.some((kernel) => /(matvec|matmul|conv2d)-int8/.test(kernel))).toBe(true);
  });

  test('Concat and Add of unequal scales', async () => {
    const w = new Odd();
    const x = w.qdq('x', w.x, 0.02, signed(0));
    const layer = (name: string, scale: number, zero: number) => {
      const weight = w.codes(name, integers('int8', -127, 127, 4, 3, 3, 3), scalar(0.006), null);
      return w.qdq(`${name}.y`, w.node('Conv', `${name}.conv`, [x, weight], conv), scale, signed(zero));
    };
    const [a, b, c] = [layer('a', 0.03, 5), layer('b', 0.011, -20), layer('c', 0.017, 0)];
    const sum = w.qdq('sum', w.node('Add', 'add', [a, b]), 0.04, signed(1));
    const joined = w.qdq('joined', w.node('Concat', 'concat', [sum, c, a], { axis: 1 }), 0.05, signed(-3));
    // ONNX Runtime adds floats between quantizers, here codes are added as QLinearAdd does: one step apart at most.
    const { kernels, apart } = await held(w.model([joined]));
    expect(apart).toBeLessThan(0.011);
    expect(kernels.filter((kernel) => /^(add|concat)-int8/.test(kernel)).length).toBeGreaterThan(1);
  });

  test('Relu and Clip between a layer and its quantizer, taken in by the grid or kept', async () => {
    const w = new Odd();
    const x = w.qdq('x', w.x, 0.02, signed(0));
    const product = (name: string) =>
      w.node(
        'Conv',
        `${name}.conv`,
        [x, w.codes(name, integers('int8', -127, 127, 4, 3, 3, 3), scalar(0.006), null)],
        conv,
      );
    const taken = w.qdq('taken', w.node('Relu', 'r', [product('a')]), 0.02, signed(-128));
    const kept = w.qdq('kept', w.node('Relu', 's', [product('b')]), 0.02, signed(0));
    const bounds = [w.constant('low', scalar(-0.5)), w.constant('high', scalar(1.5))];
    const clipped = w.qdq('clipped', w.node('Clip', 't', [product('c'), ...bounds]), 0.02, signed(-10));
    const { kernels, apart } = await held(w.model([taken, kept, clipped]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.filter((kernel) => kernel.startsWith('conv2d-int8')).length).toBe(3);
  });

  test('a Relu of which only its quantizer is left, read by floats', async () => {
    const w = new Odd();
    const x = w.qdq('x', w.x, 0.02, signed(0));
    const layer = (name: string, input: string, output: number, zero: number) => {
      const weight = w.codes(name, integers('int8', -127, 127, 3, 3, 3, 3), scalar(0.006), null);
      return w.qdq(`${name}.y`, w.node('Conv', `${name}.conv`, [input, weight], conv), output, signed(zero));
    };
    const positive = layer('a', x, 0.01, -128);
    const gate = w.qdq('gate', w.node('Sigmoid', 'sigmoid', [positive]), 1 / 255, signed(-128));
    const { kernels, apart } = await held(w.model([layer('b', gate, 0.02, 4), positive]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.filter((kernel) => kernel.startsWith('conv2d-int8')).length).toBe(2);
  });

  test('float16 between quantizers', async () => {
    const w = new Odd();
    const half = (value: number) => fromWords('float16', [], [value]);
    const x = w.node('Cast', 'half', [w.x], { to: 10 });
    const by = [w.constant('scale', half(0.03125)), w.constant('zero', signed(2))];
    const codes = w.node('QuantizeLinear', 'codes', [x, ...by]);
    const y = w.node('Relu', 'relu', [w.node('DequantizeLinear', 'back', [codes, ...by])]);
    const { apart } = await held(w.model([w.node('Cast', 'y', [y], { to: 1 })]));
    expect(apart).toBe(0);
  });

  test('one scale, zero point and weight for several layers', async () => {
    const w = new Odd();
    const by = [w.constant('scale', scalar(0.02)), w.constant('zero', signed(0))];
    const weight = w.node('DequantizeLinear', 'w', [
      w.constant('w.codes', integers('int8', -127, 127, 3, 3, 3, 3)),
      w.constant('w.scale', scalar(0.008)),
    ]);
    let value = w.x;
    for (const name of ['a', 'b']) {
      const read = w.node('DequantizeLinear', `${name}.float`, [
        w.node('QuantizeLinear', `${name}.codes`, [value, ...by]),
        ...by,
      ]);
      value = w.node('Conv', name, [read, weight], conv);
    }
    const { kernels, apart } = await held(w.model([value]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.filter((kernel) => kernel.startsWith('conv2d-int8')).length).toBe(2);
  });
});

describe('in floats', () => {
  test('a weight that a subgraph of constants computes', async () => {
    const w = new Odd();
    const raw = w.constant('raw', floats(3, 3, 3, 4));
    const turned = w.node('Transpose', 'turned', [raw], { perm: [3, 0, 1, 2] });
    const weight = w.node('Mul', 'scaled', [turned, w.node('Sqrt', 'root', [w.constant('four', scalar(4))])]);
    const { apart, kernels } = await held(w.model([w.node('Conv', 'conv', [w.x, weight], conv)]));
    expect(apart).toBeLessThan(1e-5);
    expect(kernels.filter((kernel) => /element-wise/.test(kernel))).toEqual([]);
  });

  test('opset 9: Upsample by a constant, Slice by attributes', async () => {
    const w = new Odd(9);
    const scales = w.constant('scales', fromWords('float32', [4], [1, 1, 2, 3]));
    const up = w.node('Upsample', 'up', [w.x, scales], { mode: 'nearest' });
    const cut = w.node('Slice', 'cut', [up], { axes: [2, 3], starts: [1, -9], ends: [1000, -1] });
    expect((await held(w.model([cut]))).apart).toBeLessThan(1e-6);
  });

  test('inputs that are left out by an empty name', async () => {
    const w = new Odd(13);
    const high = w.constant('high', scalar(0.25));
    const clipped = w.node('Clip', 'clip', [w.x, null, high]);
    const sizes = w.constant('sizes', fromWords('int64', [4], [1, 3, 9, 7]));
    const resized = w.node('Resize', 'resize', [clipped, null, null, sizes], { mode: 'nearest' });
    expect((await held(w.model([resized]))).apart).toBeLessThan(1e-6);
  });
});
