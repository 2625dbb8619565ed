// Inputs for runOperator: shapes, dtypes and attributes at random, most of them nearly right.

import { requantizeRules } from '../../src/conv/requantize.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { operators, runOperator } from '../../src/onnx/run-operator.ts';
import { makeFloatCall } from './float-operators.ts';
import { closeGpu, gpu, openGpu, unheardError } from './gpu.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

interface Call {
  operator: string;
  inputs: (Tensor | undefined)[];
  attributes: Record<string, unknown>;
  options: Record<string, unknown>;
}

const INTEGERS = ['int8', 'uint8'] as const;
const ODD = [
  'float32',
  'float16',
  'int32',
  'int16',
  'uint16',
  'int4',
  'uint4',
  'int64',
  'bool',
  'float64',
  'x',
] as const;
const ARRAYS: Record<string, (length: number) => Tensor['data']> = {
  bool: (n) => new Uint8Array(n),
  float32: (n) => new Float32Array(n),
  float16: (n) => new Uint16Array(n),
  int8: (n) => new Int8Array(n),
  uint8: (n) => new Uint8Array(n),
  int16: (n) => new Int16Array(n),
  uint16: (n) => new Uint16Array(n),
  int32: (n) => new Int32Array(n),
  int4: (n) => new Int8Array(n),
  uint4: (n) => new Uint8Array(n),
};

const size = (random: Random) => random.pick([1, 1, 2, 3, 4, 5, 7, 8, 0]);

function tensor(random: Random, dtype: string, dims: number[]): Tensor {
  const count = dims.reduce((a, b) => a * b, 1) + (random.chance(0.01) ? 1 : 0);
  const data = (ARRAYS[random.chance(0.01) ? 'float32' : dtype] ?? ARRAYS.float32)(Math.max(0, count));
  const float = dtype.startsWith('float');
  for (let i = 0; i < data.length; i++) {
    const wild = random.chance(0.02)
      ? random.pick([Number.NaN, Infinity, -Infinity, 1e38, 1e-45, -0])
      : undefined;
    (data as Float32Array)[i] = float ? (wild ?? random.next() * 4 - 2) : random.int(256) - 128;
  }
  const shape = random.chance(0.01)
    ? random.pick([[-1], [1.5], [2 ** 40], 'x' as never, undefined as never])
    : dims;
  return { dtype: dtype as Tensor['dtype'], dims: shape, data };
}

function scale(random: Random, dims: number[] = []): Tensor {
  const made = tensor(random, random.chance(0.95) ? 'float32' : 'float16', dims);
  for (let i = 0; i < made.data.length; i++) {
    const value = random.chance(0.95)
      ? 2 ** (random.int(16) - 12) * (1 + random.next())
      : random.pick([0, -1, Number.NaN, Infinity, 1e-45]);
    (made.data as Float32Array)[i] = value;
  }
  return made;
}

const integer = (random: Random) => (random.chance(0.95) ? random.pick(INTEGERS) : random.pick(ODD));
const axisDims = (random: Random, channels: number) => (random.chance(0.5) ? [] : [channels]);

/** Attributes of a convolution's window; a tenth of them beyond anything that fits. */
function window(random: Random, spatial: number): Record<string, unknown> {
  const attributes: Record<string, unknown> = {};
  const several = (count: number, values: readonly number[]) => random.list(count, () => random.pick(values));
  if (random.chance(0.4))
    attributes.pads = several(2 * spatial, random.chance(0.9) ? [0, 1, 2] : [-1, 1.5, 2 ** 31, 5]);
  if (random.chance(0.4))
    attributes.strides = several(spatial, random.chance(0.9) ? [1, 2, 3] : [0, -1, 2 ** 31]);
  if (random.chance(0.3))
    attributes.dilations = several(spatial, random.chance(0.9) ? [1, 2] : [0, 2 ** 30, -1]);
  if (random.chance(0.2))
    attributes.auto_pad = random.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID', 'NOTSET', 'X']);
  if (random.chance(0.2)) attributes.kernel_shape = several(spatial, [1, 2, 3]);
  return attributes;
}

const makers: Record<string, (random: Random) => Omit<Call, 'operator' | 'options'>> = {
  QuantizeLinear(random) {
    const dims = random.list(random.int(4), () => size(random));
    const axis = random.int(dims.length + 1) - random.int(2);
    const per = axisDims(random, dims[axis] ?? 1);
    const inputs = [
      tensor(random, random.pick(['float32', 'float32', 'float16', 'int32', random.pick(ODD)]), dims),
      scale(random, per),
    ];
    if (random.chance(0.6)) inputs.push(tensor(random, integer(random), per));
    return {
      inputs,
      attributes: random.chance(0.5)
        ? { axis }
        : random.chance(0.1)
          ? { block_size: random.int(4), axis }
          : {},
    };
  },
  DequantizeLinear(random) {
    const dims = random.list(random.int(4), () => size(random));
    const axis = random.int(dims.length + 1) - random.int(2);
    const per = axisDims(random, dims[axis] ?? 1);
    const dtype = random.pick(['int8', 'uint8', 'int32', 'int4', 'uint4', random.pick(ODD)]);
    const inputs = [tensor(random, dtype, dims), scale(random, per)];
    if (random.chance(0.6)) inputs.push(tensor(random, dtype, per));
    return { inputs, attributes: random.chance(0.5) ? { axis } : {} };
  },
  DynamicQuantizeLinear: (random) => ({
    inputs: [
      tensor(
        random,
        random.chance(0.95) ? 'float32' : random.pick(ODD),
        random.list(random.int(4), () => size(random)),
      ),
    ],
    attributes: {},
  }),
  ConvInteger(random) {
    const { x, w, attributes } = convolution(random);
    const inputs: (Tensor | undefined)[] = [x, w];
    if (random.chance(0.5)) inputs.push(random.chance(0.8) ? tensor(random, x.dtype, []) : undefined);
    if (random.chance(0.4)) inputs.push(tensor(random, w.dtype, axisDims(random, w.dims?.[0])));
    return { inputs, attributes };
  },
  QLinearConv(random) {
    const { x, w, attributes } = convolution(random);
    const channels = w.dims?.[0];
    const inputs = [
      x,
      scale(random),
      tensor(random, x.dtype, []),
      w,
      scale(random, axisDims(random, channels)),
    ];
    inputs.push(tensor(random, w.dtype, []), scale(random), tensor(random, integer(random), []));
    if (random.chance(0.5)) inputs.push(tensor(random, 'int32', [channels]));
    return { inputs, attributes };
  },
  MatMulInteger(random) {
    const [a, b] = matrices(random);
    const inputs = [a, b];
    if (random.chance(0.5)) inputs.push(tensor(random, a.dtype, []));
    if (random.chance(0.3)) inputs.push(tensor(random, b.dtype, axisDims(random, b.dims?.at(-1) ?? 1)));
    return { inputs, attributes: {} };
  },
  QLinearMatMul(random) {
    const [a, b] = matrices(random);
    const inputs = [
      a,
      scale(random),
      tensor(random, a.dtype, []),
      b,
      scale(random),
      tensor(random, b.dtype, []),
    ];
    return { inputs: [...inputs, scale(random), tensor(random, integer(random), [])], attributes: {} };
  },
  MatMulIntegerToFloat(random) {
    const [a, b] = matrices(random);
    const per = axisDims(random, b.dims?.at(-1) ?? 1);
    const inputs: (Tensor | undefined)[] = [a, b, scale(random), scale(random, per)];
    if (random.chance(0.5)) inputs.push(tensor(random, a.dtype, []), tensor(random, b.dtype, per));
    return { inputs, attributes: {} };
  },
  DynamicQuantizeMatMul(random) {
    const [a, b] = matrices(random);
    const per = axisDims(random, b.dims?.at(-1) ?? 1);
    const inputs: (Tensor | undefined)[] = [tensor(random, 'float32', [...a.dims]), b, scale(random, per)];
    if (random.chance(0.5)) inputs.push(tensor(random, b.dtype, per));
    if (random.chance(0.3)) inputs[4] = tensor(random, 'float32', [b.dims?.at(-1) ?? 1]);
    return { inputs, attributes: {} };
  },
  QGemm(random) {
    const [a, b] = matrices(random);
    const per = axisDims(random, b.dims?.at(-1) ?? 1);
    const inputs: (Tensor | undefined)[] = [
      ...[a, scale(random), tensor(random, a.dtype, []), b, scale(random, per), tensor(random, b.dtype, per)],
      random.chance(0.5) ? tensor(random, 'int32', [b.dims?.at(-1) ?? 1]) : undefined,
      ...(random.chance(0.5) ? [scale(random), tensor(random, a.dtype, [])] : []),
    ];
    return { inputs, attributes: random.chance(0.3) ? { transB: random.int(2) } : {} };
  },
  QLinearAdd(random) {
    const dims = random.list(random.int(4), () => size(random));
    const other = random.chance(0.7) ? dims : dims.map((dim) => (random.chance(0.3) ? 1 : dim));
    const dtype = integer(random);
    const zero = () => tensor(random, dtype, []);
    return {
      inputs: [
        tensor(random, dtype, dims),
        scale(random),
        zero(),
        tensor(random, dtype, other),
        scale(random),
        zero(),
        scale(random),
        zero(),
      ],
      attributes: {},
    };
  },
  QLinearConcat(random) {
    const dims = random.list(1 + random.int(3), () => size(random));
    const dtype = integer(random);
    const axis = random.int(dims.length);
    const part = () => [
      tensor(
        random,
        dtype,
        dims.map((dim, i) => (i === axis ? size(random) : dim)),
      ),
      scale(random),
      tensor(random, dtype, []),
    ];
    return {
      inputs: [scale(random), tensor(random, dtype, []), ...random.list(1 + random.int(3), part).flat()],
      attributes: random.chance(0.95) ? { axis } : {},
    };
  },
};

function convolution(random: Random) {
  const spatial = random.chance(0.85) ? 2 : random.int(4);
  const groups = random.pick([1, 1, 1, 2, 4]);
  const inputs = random.int(4);
  const outputs = random.int(4);
  const image = [random.int(3), inputs * groups, ...random.list(spatial, () => random.int(9))];
  const weight = [
    outputs * groups,
    random.chance(0.95) ? inputs : inputs + 1,
    ...random.list(spatial, () => 1 + random.int(3)),
  ];
  const attributes = window(random, spatial);
  if (groups > 1 || random.chance(0.05))
    attributes.group = random.chance(0.95) ? groups : random.pick([0, -1, 3, 1.5]);
  return {
    x: tensor(random, integer(random), image),
    w: tensor(random, integer(random), weight),
    attributes,
  };
}

function matrices(random: Random): [Tensor, Tensor] {
  const [m, k, n] = random.list(3, () => size(random));
  const batch = random.chance(0.3) ? [random.int(3)] : [];
  const a = random.chance(0.9) ? [...batch, m, k] : [k];
  const b = random.chance(0.9)
    ? [...(random.chance(0.5) ? batch : []), random.chance(0.95) ? k : k + 1, n]
    : [k];
  return [tensor(random, integer(random), a), tensor(random, integer(random), b)];
}

/** Shapes, sizes and positions come out as ONNX's int64. */
const RESULTS: typeof ARRAYS = { ...ARRAYS, int64: (n) => new BigInt64Array(n) as never };

function outputsBroken(outputs: Tensor[]): string | undefined {
  for (const { dtype, dims, data } of outputs) {
    if (!Array.isArray(dims) || dims.some((dim) => !Number.isInteger(dim) || dim < 0))
      return `dims of ${dims}`;
    if (data.length !== dims.reduce((a, b) => a * b, 1)) return `${data.length} elements of [${dims}]`;
    if (!RESULTS[dtype] || data.constructor !== RESULTS[dtype](0).constructor)
      return `${dtype} in a ${data.constructor.name}`;
  }
  return outputs.length > 0 ? unheardError() : 'no output';
}

export const operatorTargets: Target<Call>[] = [
  {
    name: 'operator',
    kind: 'surface',
    open: openGpu,
    make(random) {
      const operator = random.chance(0.99) ? random.pick(operators) : 'Relu6';
      const made = makers[operator]?.(random) ?? makeFloatCall(random, operator);
      if (random.chance(0.02)) made.inputs.splice(random.int(made.inputs.length), 1);
      if (random.chance(0.01)) made.inputs.push(null as never);
      const attributes = random.chance(0.02) ? { ...made.attributes, unknown: 1 } : made.attributes;
      const options = random.chance(0.5)
        ? { requantize: random.chance(0.97) ? random.pick(requantizeRules) : 'x' }
        : {};
      return { operator, inputs: made.inputs, attributes, options };
    },
    run: ({ operator, inputs, attributes, options }) =>
      runOperator(gpu(), operator as never, inputs as never, attributes as never, options as never),
    verify: outputsBroken,
    show: ({ operator, inputs, attributes, options }) =>
      JSON.stringify([operator, inputs.map((t) => [t?.dtype, t?.dims, t?.data.length]), attributes, options]),
    close: closeGpu,
  },
];
