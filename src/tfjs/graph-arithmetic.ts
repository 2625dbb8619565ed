import { check } from '../gpu/errors.ts';
import { activate, clip, leakyRelu } from './activations.ts';
import type { Value } from './graph-builder.ts';
import { float, ofOneType, type Reading, rawFloat, refuse, scalarOf, type Write } from './graph-node.ts';
import { transposed } from './tensorflow.ts';

/** One operator of one float tensor. */
const unary =
  (op: string, { integers = false } = {}): Write =>
  (r) =>
    r.b.add(op, r.name, [integers ? r.input(0) : float(r, r.input(0))]);

const pair = (r: Reading) => ofOneType(r, r.inputs(0, 2));

/** One operator of two tensors, made one dtype. */
const binary =
  (op: string): Write =>
  (r) =>
    r.b.add(op, r.name, pair(r));

const activation: Write = (r) => activate(r.b, r.name, float(r, r.input(0)), r.node.op);

/** Down to whole numbers, of integers too: ONNX's quotients of those are cut towards zero. */
function floorDivided(r: Reading, [x, y]: readonly Value[]): Value {
  const { b, name } = r;
  if (x.dtype === 'float32') {
    // tfjs has whole quotients of floats as int32, too.
    const floor = b.add('Floor', name, [b.add('Div', `${name}/quotient`, [x, y])]);
    return b.cast(name, floor, 'int32');
  }
  const rest = b.add('Mod', `${name}/rest`, [x, y]);
  return b.add('Div', name, [b.add('Sub', `${name}/whole`, [x, rest]), y]);
}

const divided: Write = (r) => {
  const [x, y] = pair(r);
  // tfjs divides integers down to integers.
  return x.dtype === 'float32' ? r.b.add('Div', r.name, [x, y]) : floorDivided(r, [x, y]);
};

const modulo: Write = (r) => {
  const { b, name } = r;
  const [x, y] = pair(r);
  if (x.dtype !== 'float32') return b.add('Mod', name, [x, y]);
  const floor = b.add('Floor', `${name}/floor`, [b.add('Div', `${name}/quotient`, [x, y])]);
  return b.add('Sub', name, [x, b.add('Mul', `${name}/multiple`, [floor, y])]);
};

/** A bound by one constant number is a Clip or a ReLU, which fuse with the layer before. */
const bounded =
  (op: 'Max' | 'Min'): Write =>
  (r) => {
    const values = pair(r);
    const at = values.findIndex((value) => scalarOf(r, value) !== null);
    const other = values[1 - at];
    const limit = at < 0 ? null : scalarOf(r, values[at]);
    if (limit === null || other?.dtype !== 'float32' || values[at].rank! > (other.rank ?? 0)) {
      return r.b.add(op, r.name, values);
    }
    return op === 'Max' ? clip(r.b, r.name, other, limit) : clip(r.b, r.name, other, undefined, limit);
  };

const biasAdd: Write = (r) => {
  const [x, bias] = pair(r);
  const rank = r.b.rank(x);
  if (!r.channelsFirst || rank <= 2) return r.b.add('Add', r.name, [x, bias]);
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  return r.b.add('Add', r.name, [x, r.b.unsqueeze(`${r.name}/channels`, bias, spatial)]);
};

const addN: Write = (r) => {
  const count = r.node.inputs.filter(({ op }) => op !== 'NoOp').length;
  const [first, ...rest] = ofOneType(r, r.inputs(0, count));
  if (rest.length === 0) return first;
  return rest.reduce(
    (sum, value, i) => r.b.add('Add', i === rest.length - 1 ? r.name : `${r.name}/${i + 1}`, [sum, value]),
    first,
  );
};

const select: Write = (r) => {
  const { b, name } = r;
  const condition = b.cast(`${name}/condition`, r.input(0), 'bool');
  const values = ofOneType(r, r.inputs(1, 2));
  const rank = b.rank(values[0]);
  // The first version takes one condition a row.
  const rows = r.node.op === 'Select' && b.rank(condition) === 1 && rank > 1;
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const shaped = rows ? b.unsqueeze(`${name}/rows`, condition, axes) : condition;
  return b.add('Where', name, [shaped, ...values]);
};

const clipped: Write = (r) => {
  const x = r.input(0);
  const limits = [1, 2].map((i) => r.b.cast(`${r.name}/${i}`, r.input(i), x.dtype));
  const [low, high] = limits.map((limit) => scalarOf(r, limit));
  if (low !== null && high !== null) return clip(r.b, r.name, x, low, high);
  return r.b.add('Clip', r.name, [x, ...limits]);
};

/** Applies a function of x and the number 1. */
const withOne =
  (first: string, second: string, order: 'before' | 'after'): Write =>
  (r) => {
    const { b, name } = r;
    const x = float(r, r.input(0));
    const number = b.scalar(`${name}/one`, 1);
    if (order === 'before') return b.add(second, name, [b.add(first, `${name}/moved`, [x, number])]);
    return b.add(first, name, [b.add(second, `${name}/whole`, [x]), number]);
  };

/** The angle of a point: of its smaller coordinate by its larger one, mirrored into the right eighth of a turn. */
const angle: Write = (r) => {
  const { b, name } = r;
  const [y, x] = r.inputs(0, 2).map((value, i) => b.cast(`${name}/${i}`, value, 'float32'));
  const [height, width] = [y, x].map((value, i) => b.add('Abs', `${name}/size/${i}`, [value]));
  const zero = b.scalar(`${name}/zero`, 0);
  const longer = b.add('Max', `${name}/longer`, [height, width]);
  const slope = b.add('Div', `${name}/slope`, [b.add('Min', `${name}/shorter`, [height, width]), longer]);
  const none = b.add('Equal', `${name}/none`, [longer, zero]);
  let turn = b.add('Atan', `${name}/eighth`, [b.add('Where', `${name}/ratio`, [none, zero, slope])]);
  const mirrored = (key: string, condition: Value, from: number) => {
    const other = b.add('Sub', `${name}/${key}/other`, [b.scalar(`${name}/${key}/whole`, from), turn]);
    turn = b.add('Where', `${name}/${key}`, [condition, other, turn]);
  };
  mirrored('steep', b.add('Greater', `${name}/is-steep`, [height, width]), Math.PI / 2);
  mirrored('left', b.add('Less', `${name}/is-left`, [x, zero]), Math.PI);
  mirrored('below', b.add('Less', `${name}/is-below`, [y, zero]), 0);
  return turn;
};

/** A matrix for MatMul: transposed when it is read if it is constant, by a node if not. */
function factor(r: Reading, index: number, isTransposed: boolean): Value {
  const { b } = r;
  const value = float(r, r.input(index));
  const name = `${r.name}/${index === 0 ? 'a' : 'b'}`;
  if (!isTransposed) return value;
  if (value.exact && value.data && value.dims!.length === 2) {
    const data = transposed(value.data as Float32Array, value.dims!);
    return b.floats(`${r.name}.weight`, [...value.dims!].reverse(), data);
  }
  const rank = b.rank(value);
  check(rank >= 2, 'a factor must be a matrix', value.dims);
  const axes = Array.from({ length: rank - 2 }, (_, i) => i);
  return b.transpose(name, value, [...axes, rank - 1, rank - 2]);
}

const matMul: Write = (r) => {
  const { b, name } = r;
  const sides = ['transposeA', 'transposeB'].map((key, i) => factor(r, i, r.attribute(key, false)));
  return fusedOnto(r, b.add('MatMul', name, sides));
};

/** What grappler has fused to a product: a bias, an activation. */
export function fusionOf(r: Reading): { bias?: number; activation?: string; slope?: number } {
  const names = r.attribute<string[]>('fusedOps', []).map((name) => name.toLowerCase());
  check(names[0] !== 'fusedbatchnorm', 'batch norm must be a node of its own', names[0]);
  const biased = names[0] === 'biasadd';
  const activation = biased ? names[1] : names[0];
  return {
    ...(biased && { bias: 2 }),
    ...(activation && { activation }),
    ...(activation === 'prelu' && { slope: biased ? 3 : 2 }),
  };
}

/** The activation of a fused node, which may have a parameter. */
export function fusedActivation(r: Reading, value: Value): Value {
  const { activation, slope } = fusionOf(r);
  const name = `${r.name}/${activation}`;
  if (slope !== undefined) return r.b.add('PRelu', name, [value, r.input(slope)]);
  if (activation === 'leakyrelu')
    return leakyRelu(r.attribute('leakyreluAlpha', rawFloat(r.node, 'leakyrelu_alpha') ?? 0.2))(
      r.b,
      name,
      value,
    );
  return activate(r.b, name, value, activation);
}

function fusedOnto(r: Reading, product: Value): Value {
  const { bias } = fusionOf(r);
  const sum = bias === undefined ? product : r.b.add('Add', `${r.name}/bias`, [product, r.input(bias)]);
  return fusedActivation(r, sum);
}

const not =
  (op: string): Write =>
  (r) =>
    r.b.add('Not', r.name, [r.b.add(op, `${r.name}/equal`, pair(r))]);

const logical =
  (op: string): Write =>
  (r) =>
    r.b.add(
      op,
      r.name,
      r.inputs(0, 2).map((value, i) => r.b.cast(`${r.name}/${i}`, value, 'bool')),
    );

/** Functions of each element, and products of matrices. */
export const arithmeticNodes: Readonly<Record<string, Write>> = {
  ...{ Add: binary('Add'), AddV2: binary('Add'), Sub: binary('Sub'), Mul: binary('Mul') },
  ...{ Div: divided, RealDiv: divided, BiasAdd: biasAdd, AddN: addN },
  FloorDiv: (r) => floorDivided(r, pair(r)),
  ...{ Mod: modulo, FloorMod: modulo },
  DivNoNan: (r) => {
    const [x, y] = pair(r).map((value, i) => r.b.cast(`${r.name}/${i}`, value, 'float32'));
    const zero = r.b.scalar(`${r.name}/zero`, 0);
    const none = r.b.add('Equal', `${r.name}/none`, [y, zero]);
    return r.b.add('Where', r.name, [none, zero, r.b.add('Div', `${r.name}/quotient`, [x, y])]);
  },
  ...{ Maximum: bounded('Max'), Minimum: bounded('Min'), ClipByValue: clipped },
  Pow: (r) => r.b.add('Pow', r.name, pair(r)),
  SquaredDifference: (r) => {
    const difference = r.b.add('Sub', `${r.name}/difference`, pair(r));
    return r.b.add('Mul', r.name, [difference, difference]);
  },
  Square: (r) => r.b.add('Mul', r.name, [r.input(0), r.input(0)]),
  Rsqrt: (r) => r.b.add('Reciprocal', r.name, [r.b.add('Sqrt', `${r.name}/root`, [float(r, r.input(0))])]),
  ...{ Abs: unary('Abs', { integers: true }), Neg: unary('Neg', { integers: true }) },
  ...{ Sign: unary('Sign', { integers: true }), LogicalNot: unary('Not', { integers: true }) },
  ...{ Exp: unary('Exp'), Log: unary('Log'), Sqrt: unary('Sqrt'), Reciprocal: unary('Reciprocal') },
  ...{ Floor: unary('Floor'), Ceil: unary('Ceil'), Round: unary('Round'), Sin: unary('Sin') },
  ...{ Atan: unary('Atan'), Atan2: angle, Cos: unary('Cos'), Erf: unary('Erf'), IsNan: unary('IsNaN') },
  IsInf: unary('IsInf'),
  IsFinite: (r) => {
    const size = r.b.add('Abs', `${r.name}/size`, [float(r, r.input(0))]);
    return r.b.add('Less', r.name, [size, r.b.scalar(`${r.name}/infinity`, Number.POSITIVE_INFINITY)]);
  },
  ...{ Log1p: withOne('Add', 'Log', 'before'), Expm1: withOne('Sub', 'Exp', 'after') },
  ...{ Tan: unary('Tan'), Asin: unary('Asin'), Acos: unary('Acos'), Sinh: unary('Sinh') },
  ...{ Cosh: unary('Cosh'), Asinh: unary('Asinh'), Acosh: unary('Acosh'), Atanh: unary('Atanh') },
  ...{
    Relu: unary('Relu', { integers: true }),
    Relu6: activation,
    Elu: activation,
    Selu: activation,
    Sigmoid: activation,
  },
  ...{ Tanh: activation, Softplus: activation, Softsign: activation, Softmax: activation },
  LogSoftmax: activation,
  LeakyRelu: (r) => leakyRelu(r.attribute('alpha', 0.2))(r.b, r.name, float(r, r.input(0))),
  Prelu: (r) => r.b.add('PRelu', r.name, pair(r)),
  ...{ Equal: binary('Equal'), NotEqual: not('Equal'), Less: binary('Less'), Greater: binary('Greater') },
  ...{ LessEqual: binary('LessOrEqual'), GreaterEqual: binary('GreaterOrEqual') },
  ...{ LogicalAnd: logical('And'), LogicalOr: logical('Or'), BitwiseAnd: binary('BitwiseAnd') },
  ...{ Select: select, SelectV2: select },
  Cast: (r) => {
    const dtype = r.attribute<string | null>('dtype', null);
    if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
      refuse('it must cast to float32, int32 or bool', dtype ?? 'another dtype');
    }
    const x = r.input(0);
    if (x.dtype === dtype) return x;
    const to = { float32: 1, int32: 6, bool: 9 }[dtype];
    return r.b.add('Cast', r.name, [x], { to });
  },
  ...{ MatMul: matMul, _FusedMatMul: matMul, BatchMatMul: matMul, BatchMatMulV2: matMul },
};
