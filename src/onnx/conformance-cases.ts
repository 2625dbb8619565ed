import type { RequantizeRule } from '../conv/requantize.ts';
import type { DType, Tensor, TensorData } from '../gpu/tensor.ts';
import type { CodeOperator } from '../graph/ops/operators.ts';
import { CODE_RANGE, sizeOf } from '../graph/ops/tensors.ts';
import { floatToHalfReference } from '../reference/quantize-linear-onnx.ts';

/** Operators whose outputs are bits, not floats within a tolerance. */
export type ExactOperator = Exclude<
  CodeOperator,
  | 'MatMulIntegerToFloat'
  | 'DynamicQuantizeMatMul'
  | 'QGemm'
  | 'QLinearAveragePool'
  | 'QLinearSoftmax'
  | 'QLinearWhere'
>;

/** One seeded call of an operator. */
export interface ConformanceCase {
  operator: ExactOperator;
  name: string;
  inputs: (Tensor | null)[];
  attributes: Record<string, number | string | number[]>;
  /** Whether ONNX Runtime 1.30's CPU provider implements it (it lacks int8 x uint8 and
   * mixed output types, per-row zero points, and dilations with SAME padding). */
  peer: boolean;
}

/** What cases vary by, and how many make a thorough run. */
export const caseCounts: Record<ExactOperator, number> = {
  QuantizeLinear: 162,
  DequantizeLinear: 162,
  DynamicQuantizeLinear: 24,
  ConvInteger: 240,
  MatMulInteger: 96,
  QLinearConv: 960,
  QLinearMatMul: 384,
  QLinearAdd: 72,
  QLinearConcat: 36,
  QLinearMul: 72,
  QLinearGlobalAveragePool: 48,
  QLinearSigmoid: 24,
  QLinearLeakyRelu: 24,
};

/** Operators whose output depends on the requantization rule. */
export const requantizing: readonly ExactOperator[] = [
  'QLinearConv',
  'QLinearMatMul',
  'QLinearAdd',
  'QLinearConcat',
  'QLinearMul',
  'QLinearGlobalAveragePool',
];

type Random = ReturnType<typeof seeded>;

/** mulberry32. */
function seeded(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return { next, integer, pick: <T>(list: readonly T[]): T => list[integer(0, list.length - 1)] };
}

const BYTES = ['uint8', 'int8'] as const;

function tensor(dtype: DType, dims: readonly number[], element: (index: number) => number): Tensor {
  const length = sizeOf(dims);
  const make = <T extends TensorData>(array: {
    from(list: { length: number }, map: (_: unknown, i: number) => number): T;
  }) => array.from({ length }, (_, i) => element(i));
  const data: TensorData =
    dtype === 'float32'
      ? make(Float32Array)
      : dtype === 'int32'
        ? make(Int32Array)
        : dtype === 'int16'
          ? make(Int16Array)
          : dtype === 'uint16' || dtype === 'float16'
            ? make(Uint16Array)
            : dtype.startsWith('u')
              ? make(Uint8Array)
              : make(Int8Array);
  return { dtype, dims, data };
}

/** Codes: the whole range, or every third case a few middle ones, which make small accumulators and many ties. */
function codes(random: Random, dtype: DType, dims: readonly number[], narrow: boolean): Tensor {
  const [low, high] = CODE_RANGE[dtype]!;
  const middle = low < 0 ? 0 : (high + 1) / 2;
  const [from, to] = narrow ? [Math.max(low, middle - 8), Math.min(high, middle + 7)] : [low, high];
  return tensor(dtype, dims, () => random.integer(from, to));
}

/** An odd zero point: with power-of-two scales, rounding before and after adding it differ on every other tie. */
function oddZero(random: Random, dtype: DType, dims: readonly number[] = []): Tensor {
  const [low, high] = CODE_RANGE[dtype]!;
  const middle = (low + high + 1) / 2;
  const span = Math.min(10, (high - low) >> 2);
  return tensor(dtype, dims, () =>
    Math.min(high, middle + 2 * Math.floor(random.integer(-span, span) / 2) + 1),
  );
}

/** Scales: powers of two in two cases of three, any in the third. */
function scales(random: Random, index: number, dims: readonly number[], center: number): Tensor {
  const power = Math.round(Math.log2(center));
  if (index % 3 < 2)
    return tensor('float32', dims, () => 2 ** (power + (dims.length ? random.integer(-1, 1) : 0)));
  return tensor('float32', dims, () => center * (0.5 + random.next()));
}

/** The cases of one operator: the same for the same seed, whatever `index` was made before. */
export function conformanceCase(operator: ExactOperator, index: number): ConformanceCase {
  const random = seeded(0x1107d + index * 7919 + operator.length * 104729);
  const made = makers[operator](random, index);
  return { operator, name: `${operator} ${index} ${describe(made)}`, ...made };
}

function describe({ inputs, attributes }: Made): string {
  const shapes = inputs.map((t) => (t ? `${t.dtype}[${t.dims}]` : '-')).join(' ');
  return `${shapes} ${JSON.stringify(attributes)}`;
}

type Made = Omit<ConformanceCase, 'operator' | 'name'>;

function convShapes(random: Random, index: number) {
  const spatial = index % 8 === 6 ? 1 : index % 8 === 7 ? 3 : 2;
  const dims = Array.from({ length: spatial });
  const limit = spatial === 3 ? 3 : 5;
  const kernel = dims.map(() => random.integer(1, limit));
  const strides = dims.map(() => random.integer(1, 3));
  const dilations = dims.map(() => random.integer(1, 2));
  const group = random.pick([1, 1, 2, 3]);
  const depthwise = index % 11 === 5;
  const groupChannels = depthwise ? 1 : random.integer(1, spatial === 3 ? 3 : 6);
  const channels = groupChannels * (depthwise ? 6 : group);
  const outputs = (depthwise ? 6 : group) * random.integer(1, 5);
  const attributes: Made['attributes'] = {
    group: depthwise ? 6 : group,
    kernel_shape: kernel,
    strides,
    dilations,
  };
  const mode = index % 5;
  if (mode === 3) attributes.auto_pad = random.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID']);
  else if (mode) attributes.pads = [...dims, ...dims].map(() => random.integer(0, 2));
  const most = spatial === 1 ? 400 : spatial === 2 ? 36 : 11;
  const size = dims.map((_, d) => random.integer((kernel[d] - 1) * dilations[d] + 1, most));
  const taps = groupChannels * sizeOf(kernel);
  const peer = !String(attributes.auto_pad).startsWith('SAME') || dilations.every((step) => step === 1);
  return {
    x: [random.integer(1, 2), channels, ...size],
    w: [outputs, groupChannels, ...kernel],
    attributes,
    taps,
    peer,
  };
}

/** A multiplier that spreads accumulators of `taps` products over the output's codes. */
function outputScale(taps: number, narrow: boolean): number {
  return (Math.sqrt(taps) * (narrow ? 25 : 5500)) / 60;
}

function matmulShapes(random: Random, index: number) {
  const [M, K, N] = [random.integer(1, 40), random.pick([1, 3, 16, 33, 70]), random.integer(1, 40)];
  const batches = [[], [random.integer(2, 3)], [2, 3]];
  const aBatch = random.pick(batches);
  const bBatch = index % 2 ? [] : aBatch.map((size) => random.pick([1, size]));
  return { M, K, N, a: [...aBatch, M, K], b: [...bBatch, K, N] };
}

const makers: Record<ExactOperator, (random: Random, index: number) => Made> = {
  QuantizeLinear(random, index) {
    const dtype = (['int8', 'uint8', 'int4', 'uint4', 'int16', 'uint16', 'int2', 'uint2', 'int8'] as const)[
      index % 9
    ];
    const input = (['float32', 'float32', 'float16'] as const)[Math.floor(index / 9) % 3];
    const { dims, scaleDims, attributes } = linearShapes(random, Math.floor(index / 27) % 6);
    const span = Math.min(CODE_RANGE[dtype]![1] * 1.5, 2000);
    const half = input === 'float16';
    const tie = index % 2 === 0;
    const scale = half
      ? tensor('float16', scaleDims, () =>
          tie ? random.integer(11, 15) << 10 : random.integer(11 << 10, 15 << 10),
        )
      : tensor('float32', scaleDims, () => (tie ? 2 ** random.integer(-6, 2) : 0.1 * random.integer(1, 9)));
    const x = half
      ? tensor('float16', dims, () => (random.integer(0, 1) << 15) | random.integer(0, 0x5c00))
      : tensor('float32', dims, () => random.integer(-4 * span, 4 * span) * (tie ? 0.125 : 0.05));
    const zero = index % 10 === 9 && dtype === 'uint8' ? null : oddZero(random, dtype, scaleDims);
    return { inputs: [x, scale, zero], attributes, peer: !dtype.endsWith('2') };
  },
  DequantizeLinear(random, index) {
    const types = ['int8', 'uint8', 'int4', 'uint4', 'int16', 'uint16', 'int2', 'uint2', 'int32'] as const;
    const dtype = types[index % 9];
    const output = (['float32', 'float32', 'float16'] as const)[Math.floor(index / 9) % 3];
    const { dims, scaleDims, attributes } = linearShapes(random, Math.floor(index / 27) % 6);
    const scale =
      output === 'float16'
        ? tensor('float16', scaleDims, () => random.integer(1, 17 << 10))
        : tensor('float32', scaleDims, () => random.next() * 2 ** random.integer(-20, 4) + 2 ** -30);
    const wide = () => Math.floor((random.next() * 2 - 1) * 2 ** random.integer(1, 31)) | 0;
    const x = dtype === 'int32' ? tensor(dtype, dims, wide) : codes(random, dtype, dims, false);
    const zero = dtype === 'int32' ? null : oddZero(random, dtype, scaleDims);
    return { inputs: [x, scale, zero], attributes, peer: !dtype.endsWith('2') };
  },
  DynamicQuantizeLinear(random, index) {
    const shift = random.pick([0, -40, 40, 300]);
    const step = index % 2 ? 0.37 : 0.5;
    const x = tensor('float32', [random.integer(1, 9), random.integer(1, 3000)], () =>
      index === 0 ? 0 : (random.integer(-64, 64) + shift) * step,
    );
    return { inputs: [x], attributes: {}, peer: true };
  },
  ConvInteger(random, index) {
    const [xType, wType] = [BYTES[index % 2], BYTES[(index >> 1) % 2]];
    const { x, w, attributes, peer } = convShapes(random, index);
    const perChannel = index % 7 === 3;
    const xZero = index % 6 === 5 ? null : oddZero(random, xType);
    const wZero = index % 6 >= 4 ? null : oddZero(random, wType, perChannel ? [w[0]] : []);
    const inputs = [codes(random, xType, x, false), codes(random, wType, w, false), xZero, wZero];
    return { inputs, attributes, peer: peer && (!perChannel || wZero === null) };
  },
  MatMulInteger(random, index) {
    const [aType, bType] = [BYTES[index % 2], BYTES[(index >> 1) % 2]];
    const { a, b, M, N } = matmulShapes(random, index);
    const perRow = index % 8 === 5;
    const aZero = index % 6 === 5 ? null : oddZero(random, aType, perRow ? [M] : []);
    const bZero =
      index % 6 >= 4 ? null : oddZero(random, bType, b.length === 2 && index % 3 === 1 ? [N] : []);
    const inputs = [codes(random, aType, a, false), codes(random, bType, b, false), aZero, bZero];
    return { inputs, attributes: {}, peer: !perRow || aZero === null || M === 1 };
  },
  QLinearConv(random, index) {
    const [xType, wType] = [BYTES[index % 2], BYTES[(index >> 1) % 2]];
    const yType = index % 16 < 12 ? xType : BYTES[(index + 1) % 2];
    const { x, w, attributes, taps, peer: shapes } = convShapes(random, index);
    const narrow = index % 3 === 0;
    const perChannel = index % 4 > 0;
    const bias = index % 5 === 4 ? null : tensor('int32', [w[0]], () => random.integer(-300, 300));
    const inputs = [
      codes(random, xType, x, narrow),
      scales(random, index, [], 2 ** random.integer(-6, 0)),
      oddZero(random, xType),
      codes(random, wType, w, narrow),
      scales(random, index, perChannel ? [w[0]] : [], 2 ** random.integer(-8, -2)),
      oddZero(random, wType, perChannel && index % 7 === 1 ? [w[0]] : []),
    ];
    const real = inputs[1].data[0] * inputs[4].data[0];
    const yScale = scales(random, index, [], real * outputScale(taps, narrow));
    const wZeros = new Set(inputs[5].data);
    const peer = shapes && yType === xType && !(xType === 'int8' && wType === 'uint8') && wZeros.size === 1;
    return { inputs: [...inputs, yScale, oddZero(random, yType), bias], attributes, peer };
  },
  QLinearMatMul(random, index) {
    const [aType, bType] = [BYTES[index % 2], BYTES[(index >> 1) % 2]];
    const yType = index % 16 < 12 ? aType : BYTES[(index + 1) % 2];
    const { a, b, K, M, N } = matmulShapes(random, index);
    const narrow = index % 3 === 0;
    const perRow = index % 8 === 5;
    const columns = b.length === 2 && index % 3 === 1 ? [N] : [];
    const inputs = [
      codes(random, aType, a, narrow),
      scales(random, index, perRow ? [M] : [], 2 ** random.integer(-6, 0)),
      oddZero(random, aType, perRow ? [M] : []),
      codes(random, bType, b, narrow),
      scales(random, index, columns, 2 ** random.integer(-8, -2)),
      oddZero(random, bType, columns),
    ];
    const real = inputs[1].data[0] * inputs[4].data[0];
    const yScale = scales(random, index, [], real * outputScale(K, narrow));
    const half = index % 12 === 7;
    if (half) for (const i of [1, 4]) inputs[i] = asHalf(inputs[i]);
    const peer = yType === aType && !perRow && !half && !(aType === 'int8' && bType === 'uint8');
    const last = [half ? asHalf(yScale) : yScale, oddZero(random, yType)];
    return { inputs: [...inputs, ...last], attributes: {}, peer };
  },
  QLinearAdd: (random, index) => pair(random, index, 2),
  QLinearConcat(random, index) {
    const dtype = BYTES[index % 2];
    const axis = index % 3;
    const dims = [random.integer(1, 8), random.integer(4, 30), random.integer(8, 60)];
    const center = 2 ** random.integer(-5, 0);
    const inputs = [scales(random, index, [], center), oddZero(random, dtype)];
    for (let i = 0; i < 1 + (index % 4); i++) {
      const own = dims.map((size, d) => (d === axis ? random.integer(1, 30) : size));
      const scale = scales(random, index, [], center * random.pick([0.5, 1, 2]));
      inputs.push(codes(random, dtype, own, false), scale, oddZero(random, dtype));
    }
    return { inputs, attributes: { axis }, peer: true };
  },
  // Products of codes are up to 2^14, so of scales about 2^-7 of the operands'.
  QLinearMul: (random, index) => pair(random, index, 64),
  QLinearGlobalAveragePool(random, index) {
    const dtype = BYTES[index % 2];
    const channels_last = Math.floor(index / 2) % 2;
    const size = [random.integer(1, 20), random.integer(1, 20)];
    const channels = random.integer(1, 40);
    const dims = [random.integer(1, 3), ...(channels_last ? [...size, channels] : [channels, ...size])];
    const center = 2 ** random.integer(-5, 0);
    const x = [codes(random, dtype, dims, true), scales(random, index, [], center), oddZero(random, dtype)];
    const inputs = [...x, scales(random, index, [], center / 8), oddZero(random, dtype)];
    return { inputs, attributes: { channels_last }, peer: true };
  },
  QLinearSigmoid: (random, index) => ({ ...everyCode(random, index, 2 ** -5, 2 ** -8), attributes: {} }),
  QLinearLeakyRelu: (random, index) => ({
    ...everyCode(random, index, 2 ** -4, 2 ** -4),
    attributes: { alpha: random.integer(1, 8) / 16 },
  }),
};

/** Two tensors that broadcast, and an output whose scale is `factor` times theirs. */
function pair(random: Random, index: number, factor: number): Made {
  const dtype = BYTES[index % 2];
  const dims = [random.integer(1, 3), random.integer(1, 40), random.integer(1, 100)];
  const [left, right] = addShapes(random, index, dims);
  const center = 2 ** random.integer(-5, 0);
  const inputs = [
    codes(random, dtype, left, false),
    scales(random, index, [], center),
    oddZero(random, dtype),
    codes(random, dtype, right, false),
    scales(random, index, [], center * random.pick([0.5, 1, 2])),
    oddZero(random, dtype),
    scales(random, index, [], center * factor),
    oddZero(random, dtype),
  ];
  return { inputs, attributes: {}, peer: true };
}

/** All 256 codes of a byte type. */
function everyCode(random: Random, index: number, scale: number, yScale: number): Omit<Made, 'attributes'> {
  const dtype = BYTES[index % 2];
  const low = CODE_RANGE[dtype]![0];
  const x = [
    tensor(dtype, [4, 64], (i) => i + low),
    scales(random, index, [], scale),
    oddZero(random, dtype),
  ];
  return { inputs: [...x, scales(random, index, [], yScale), oddZero(random, dtype)], peer: true };
}

/** Equal shapes and one short tensor; from case 48 on every way of broadcasting. */
function addShapes(random: Random, index: number, dims: number[]): [number[], number[]] {
  if (index < 48) return [dims, index % 4 === 3 ? dims.slice(1) : index % 8 === 5 ? [1] : dims];
  const some = () => dims.map((size) => random.pick([1, size, size]));
  const [left, right] = [some(), some()];
  return [index % 6 === 1 ? left.slice(1) : left, index % 6 === 2 ? right.slice(2) : right];
}

const asHalf = ({ dims, data }: Tensor): Tensor => ({
  dtype: 'float16',
  dims,
  data: Uint16Array.from(data, floatToHalfReference),
});

/** Per tensor, per axis and blocked, over every axis. */
function linearShapes(
  random: Random,
  kind: number,
): { dims: number[]; scaleDims: number[]; attributes: Made['attributes'] } {
  const dims = [random.integer(2, 9), random.integer(2, 24), random.integer(2, 60)];
  if (kind === 0) return { dims, scaleDims: [], attributes: {} };
  const axis = kind % 3;
  if (kind < 4) return { dims, scaleDims: [dims[axis]], attributes: { axis: kind === 2 ? axis - 3 : axis } };
  const block_size = random.integer(2, Math.max(2, dims[axis] - 1));
  const scaleDims = dims.map((size, d) => (d === axis ? Math.ceil(size / block_size) : size));
  return { dims, scaleDims, attributes: { axis, block_size } };
}

/** The rule names a case is run by: every one for a requantizing operator, else the single `exact`. */
export function rulesOf(
  operator: ExactOperator,
  rules: readonly RequantizeRule[],
): readonly RequantizeRule[] {
  return requantizing.includes(operator) ? rules : ['ort-f32'];
}
