import { broadcastDims } from './layout.ts';
import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Plan, PlannedOutput, Step } from './plan.ts';
import { constant, type Operated, type Operation, pointwise } from './pointwise-step.ts';
import { sizeOf } from './tensors.ts';
import { ANY, FLOATS, INTEGERS, isFloat, NUMBERS, type OnnxDType, SIGNED, type Value } from './value.ts';

const OUTPUT = { output: 0 } as const;
const operated = (value: Value, index: number): Operated => ({ at: { input: index }, dims: value.dims });
const like = ({ dtype, dims }: Value): PlannedOutput => ({ dtype, dims: [...dims] });

interface UnaryOptions {
  since?: number;
  dtypes?: readonly OnnxDType[];
  /** Attributes that become the kernel's p and q, with their defaults. */
  parameters?: Readonly<Record<string, number>>;
  /** Opset from which integers are taken, too. */
  integersSince?: number;
}

/** An operator of one tensor, each element by itself. */
function unary(
  operation: Operation,
  { since = 1, dtypes = FLOATS, parameters = {}, integersSince = 1 }: UnaryOptions = {},
): Operator {
  return {
    since,
    plan(spec) {
      const node = openNode(spec, ['X'], Object.keys(parameters));
      const x = node.required('X', spec.opset >= integersSince ? dtypes : FLOATS);
      const [p, q] = Object.entries(parameters).map(([name, fallback]) => node.float(name, fallback));
      return {
        outputs: [like(x)],
        steps: [pointwise(operation, x.dtype, [operated(x, 0)], x.dims, OUTPUT, { p, q })],
      };
    },
  };
}

/** An operator of two tensors of one dtype, with numpy's broadcasting. */
function binary(
  operation: Operation,
  {
    since = 7,
    dtypes = NUMBERS,
    result,
  }: { since?: number; dtypes?: readonly OnnxDType[]; result?: 'bool' } = {},
): Operator {
  return {
    since,
    plan(spec) {
      const node = openNode(spec, ['A', 'B']);
      const a = node.required('A', dtypes);
      const b = node.required('B', [a.dtype]);
      const dims = broadcastDims(`${spec.operator}: the dims`, [a.dims, b.dims]);
      const operands = [operated(a, 0), operated(b, 1)];
      const dtype = result ?? a.dtype;
      const step = pointwise(operation, a.dtype, operands, dims, OUTPUT, { narrowTo: dtype });
      return { outputs: [{ dtype, dims }], steps: [step] };
    },
  };
}

/** An operator of any number of tensors, two at a time from the left; `mean` divides the sum by their number. */
function variadic(operation: Operation, dtypes: readonly OnnxDType[], mean = false): Operator {
  return {
    since: 8,
    plan(spec) {
      const node = openNode(spec, ['data...']);
      const values = node.variadic(spec.opset >= 12 ? dtypes : FLOATS);
      const { dtype } = values[0];
      const dims = broadcastDims(
        `${spec.operator}: the dims`,
        values.map((value) => value.dims),
      );
      const steps: Step[] = [];
      let sum = operated(values[0], 0);
      const next = (last: boolean, size: readonly number[]): Operated =>
        last
          ? { at: OUTPUT, dims: size }
          : { at: { scratch: `${steps.length}`, count: sizeOf(size) }, dims: size };
      for (let i = 1; i < values.length; i++) {
        const size = broadcastDims(spec.operator, [sum.dims, values[i].dims]);
        const target = next(i === values.length - 1 && !mean, size);
        steps.push(pointwise(operation, dtype, [sum, operated(values[i], i)], size, target.at));
        sum = target;
      }
      if (mean) {
        const factor = constant(values.length, dtype);
        steps.push(pointwise('div', dtype, [sum, factor], dims, OUTPUT));
      } else if (values.length === 1) return { outputs: [{ ...like(values[0]), from: 0 }], steps: [] };
      return { outputs: [{ dtype, dims }], steps };
    },
  };
}

function clip(spec: NodeSpec): Plan {
  const attributes = spec.opset < 11;
  const node = openNode(
    spec,
    attributes ? ['input'] : ['input', 'min', 'max'],
    attributes ? ['min', 'max'] : [],
  );
  const x = node.required('input', spec.opset >= 12 ? NUMBERS : FLOATS);
  const [low, high] = LIMITS[x.dtype] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const bound = (name: string, limit: number): Operated => {
    if (attributes) return constant(node.float(name, limit), x.dtype);
    const value = node.optional(name, [x.dtype]);
    node.ensure(!value || sizeOf(value.dims) === 1, `${name} must be a scalar`, value?.dims);
    return value ? { at: { input: node.index(name) }, dims: [] } : constant(limit, x.dtype);
  };
  const operands = [operated(x, 0), bound('min', low), bound('max', high)];
  return { outputs: [like(x)], steps: [pointwise('clip', x.dtype, operands, x.dims, OUTPUT)] };
}

/** Where integers end; int64 is computed as int32. */
const LIMITS: Partial<Record<OnnxDType, readonly [number, number]>> = {
  ...{ int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], uint16: [0, 65535] },
  ...{ int32: [-(2 ** 31), 2 ** 31 - 1], int64: [-(2 ** 31), 2 ** 31 - 1], uint32: [0, 2 ** 32 - 1] },
};

/** The exponent may have a dtype of its own; the power has that of the base. */
function pow(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X', 'Y']);
  const x = node.required('X', spec.opset >= 12 ? [...FLOATS, 'int32', 'int64'] : FLOATS);
  const y = node.required('Y', spec.opset >= 12 ? NUMBERS : [x.dtype]);
  const dims = broadcastDims(`${spec.operator}: the dims`, [x.dims, y.dims]);
  const outputs = [{ dtype: x.dtype, dims }];
  if (isFloat(x.dtype) === isFloat(y.dtype)) {
    return { outputs, steps: [pointwise('pow', x.dtype, [operated(x, 0), operated(y, 1)], dims, OUTPUT)] };
  }
  const steps: Step[] = [];
  const float = (value: Value, index: number): Operated => {
    if (isFloat(value.dtype)) return operated(value, index);
    const at = { scratch: `float ${index}`, count: sizeOf(value.dims) };
    steps.push(
      pointwise('toFloat', value.dtype, [operated(value, index)], value.dims, at, { narrowTo: 'int32' }),
    );
    return { at, dims: value.dims };
  };
  const operands = [float(x, 0), float(y, 1)];
  const at = isFloat(x.dtype) ? OUTPUT : { scratch: 'power', count: sizeOf(dims) };
  steps.push(pointwise('pow', 'float32', operands, dims, at));
  if (!isFloat(x.dtype)) steps.push(pointwise('toInt', 'float32', [{ at, dims }], dims, OUTPUT));
  return { outputs, steps };
}

function prelu(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X', 'slope']);
  const x = node.required('X', [...FLOATS, 'int32', 'int64', 'uint32']);
  const slope = node.required('slope', [x.dtype]);
  const dims = broadcastDims(`${spec.operator}: the dims`, [x.dims, slope.dims]);
  node.ensure(
    sizeOf(dims) === sizeOf(x.dims),
    `slope must broadcast to the dims of X, [${x.dims}]`,
    slope.dims,
  );
  return {
    outputs: [{ dtype: x.dtype, dims }],
    steps: [pointwise('prelu', x.dtype, [operated(x, 0), operated(slope, 1)], dims, OUTPUT)],
  };
}

function mod(spec: NodeSpec): Plan {
  const node = openNode(spec, ['A', 'B'], ['fmod']);
  const a = node.required('A', NUMBERS);
  const b = node.required('B', [a.dtype]);
  const fmod = node.flag('fmod', false);
  node.ensure(fmod || !isFloat(a.dtype), 'fmod must be 1 for floats', 0);
  const dims = broadcastDims(`${spec.operator}: the dims`, [a.dims, b.dims]);
  const operands = [operated(a, 0), operated(b, 1)];
  return {
    outputs: [{ dtype: a.dtype, dims }],
    steps: [pointwise(fmod ? 'fmod' : 'mod', a.dtype, operands, dims, OUTPUT)],
  };
}

function bitShift(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X', 'Y'], ['direction']);
  const x = node.required('X', ['uint8', 'uint16', 'uint32']);
  const y = node.required('Y', [x.dtype]);
  node.ensure(node.attribute('direction') !== undefined, 'direction must be given', 'none', 'LEFT or RIGHT');
  const left = node.choice('direction', ['LEFT', 'RIGHT'], 'LEFT') === 'LEFT';
  const dims = broadcastDims(`${spec.operator}: the dims`, [x.dims, y.dims]);
  const operands = [operated(x, 0), operated(y, 1)];
  const step = pointwise(left ? 'shiftLeft' : 'shiftRight', x.dtype, operands, dims, OUTPUT);
  return { outputs: [{ dtype: x.dtype, dims }], steps: [step] };
}

function where(spec: NodeSpec): Plan {
  const node = openNode(spec, ['condition', 'X', 'Y']);
  const condition = node.required('condition', ['bool']);
  const x = node.required('X', ANY);
  const y = node.required('Y', [x.dtype]);
  const values = [condition, x, y];
  const dims = broadcastDims(
    `${spec.operator}: the dims`,
    values.map((value) => value.dims),
  );
  // Words are moved as they are, floats too.
  const step = pointwise('where', 'int32', values.map(operated), dims, OUTPUT);
  return { outputs: [{ dtype: x.dtype, dims }], steps: [step] };
}

function gelu(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X'], ['approximate']);
  const x = node.required('X', FLOATS);
  const operation = node.choice('approximate', ['none', 'tanh'], 'none') === 'tanh' ? 'geluTanh' : 'gelu';
  return { outputs: [like(x)], steps: [pointwise(operation, x.dtype, [operated(x, 0)], x.dims, OUTPUT)] };
}

const bool: readonly OnnxDType[] = ['bool'];
const comparison = (operation: Operation, since: number, dtypes: readonly OnnxDType[] = NUMBERS) =>
  binary(operation, { since, dtypes, result: 'bool' });

/** Element-wise operators. */
export const pointwiseOperators = {
  Relu: unary('relu', { dtypes: [...FLOATS, ...SIGNED], integersSince: 14 }),
  LeakyRelu: unary('leakyRelu', { parameters: { alpha: 0.01 } }),
  PRelu: { since: 7, plan: prelu },
  Clip: { since: 6, plan: clip },
  Sigmoid: unary('sigmoid'),
  HardSigmoid: unary('hardSigmoid', { parameters: { alpha: 0.2, beta: 0.5 } }),
  HardSwish: unary('hardSwish', { since: 14 }),
  Tanh: unary('tanh'),
  Erf: unary('erf', { since: 9 }),
  Gelu: { since: 20, plan: gelu },
  Elu: unary('elu', { parameters: { alpha: 1 } }),
  Selu: unary('selu', { parameters: { alpha: 1.6732631921768188, gamma: 1.0507010221481323 } }),
  Celu: unary('celu', { since: 12, parameters: { alpha: 1 } }),
  Softplus: unary('softplus'),
  Softsign: unary('softsign'),
  Mish: unary('mish', { since: 18 }),
  Swish: unary('swish', { since: 24, parameters: { alpha: 1 } }),
  ThresholdedRelu: unary('thresholdedRelu', { since: 10, parameters: { alpha: 1 } }),
  Exp: unary('exp'),
  Log: unary('log'),
  Sqrt: unary('sqrt'),
  Sin: unary('sin', { since: 7 }),
  Cos: unary('cos', { since: 7 }),
  Atan: unary('atan', { since: 7 }),
  Tan: unary('tan', { since: 7 }),
  Asin: unary('asin', { since: 7 }),
  Acos: unary('acos', { since: 7 }),
  Sinh: unary('sinh', { since: 9 }),
  Cosh: unary('cosh', { since: 9 }),
  Asinh: unary('asinh', { since: 9 }),
  Acosh: unary('acosh', { since: 9 }),
  Atanh: unary('atanh', { since: 9 }),
  Shrink: unary('shrink', { since: 9, parameters: { lambd: 0.5, bias: 0 } }),
  Abs: unary('abs', { dtypes: NUMBERS }),
  Neg: unary('neg', { dtypes: [...FLOATS, ...SIGNED] }),
  Sign: unary('sign', { since: 9, dtypes: NUMBERS }),
  Reciprocal: unary('reciprocal'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Round: unary('round', { since: 11 }),
  IsNaN: {
    since: 9,
    plan(spec) {
      const x = openNode(spec, ['X']).required('X', FLOATS);
      return {
        outputs: [{ dtype: 'bool', dims: [...x.dims] }],
        steps: [pointwise('isNaN', x.dtype, [operated(x, 0)], x.dims, OUTPUT)],
      };
    },
  },
  IsInf: {
    since: 10,
    plan(spec) {
      const node = openNode(spec, ['X'], ['detect_negative', 'detect_positive']);
      const x = node.required('X', spec.opset >= 20 ? FLOATS : ['float32']);
      const [p, q] = ['detect_negative', 'detect_positive'].map((name) => Number(node.flag(name, true)));
      return {
        outputs: [{ dtype: 'bool', dims: [...x.dims] }],
        steps: [pointwise('isInf', x.dtype, [operated(x, 0)], x.dims, OUTPUT, { p, q })],
      };
    },
  },
  Not: unary('not', { dtypes: bool }),
  Add: binary('add'),
  Sub: binary('sub'),
  Mul: binary('mul'),
  Div: binary('div'),
  Pow: { since: 7, plan: pow },
  Mod: { since: 10, plan: mod },
  Min: variadic('min', NUMBERS),
  Max: variadic('max', NUMBERS),
  Sum: variadic('add', FLOATS),
  Mean: variadic('add', FLOATS, true),
  Equal: comparison('equal', 7, [...NUMBERS, 'bool']),
  Less: comparison('less', 7),
  LessOrEqual: comparison('lessOrEqual', 12),
  Greater: comparison('greater', 7),
  GreaterOrEqual: comparison('greaterOrEqual', 12),
  And: binary('and', { dtypes: bool }),
  Or: binary('or', { dtypes: bool }),
  Xor: binary('xor', { dtypes: bool }),
  BitwiseAnd: binary('and', { since: 18, dtypes: INTEGERS }),
  BitwiseOr: binary('or', { since: 18, dtypes: INTEGERS }),
  BitwiseXor: binary('xor', { since: 18, dtypes: INTEGERS }),
  BitShift: { since: 11, plan: bitShift },
  BitwiseNot: unary('bitwiseNot', { since: 18, dtypes: INTEGERS }),
  Where: { since: 9, plan: where },
} satisfies Readonly<Record<string, Operator>>;
