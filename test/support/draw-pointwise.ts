import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { broadcasts, type Drawing, type Drawn, type Template } from './drawing.ts';

const UNARY: [op: string, since: number, attributes?: Attributes][] = [
  ...(
    ['Relu', 'Relu', 'Sigmoid', 'Tanh', 'Softplus', 'Softsign', 'Exp', 'Log', 'Sqrt', 'Abs', 'Neg'] as const
  ).map((op): [string, number] => [op, 1]),
  ...(['Reciprocal', 'Floor', 'Ceil', 'Sin', 'Cos', 'Selu', 'HardSigmoid', 'Identity'] as const).map(
    (op): [string, number] => [op, 7],
  ),
  ...[
    ['Sign', 9],
    ['Asinh', 9],
    ['Cosh', 9],
    ['Erf', 9],
    ['Round', 11],
    ['HardSwish', 14],
    ['Mish', 18],
  ].map((each) => each as [string, number]),
  ['LeakyRelu', 1, { alpha: 0.2 }],
  ['Elu', 1, { alpha: 0.7 }],
  ['Celu', 12, { alpha: 0.5 }],
  ['Gelu', 20],
  ['Gelu', 20, { approximate: 'tanh' }],
  ['ThresholdedRelu', 10, { alpha: 0.3 }],
];

const unary: Template = (d) => {
  const x = d.float();
  const [op, , attributes] = d.random.pick(UNARY.filter(([, since]) => since <= d.opset));
  return x && d.add(op, [x.name], attributes ?? {});
};

const dropout: Template = (d) => {
  const x = d.float();
  return x && d.add('Dropout', [x.name], {}, d.random.integer(1, 2));
};

const clip: Template = (d) => {
  const x = d.float();
  if (!x) return null;
  const [low, high] = d.random.pick([
    [0, 6],
    [-1, 1],
    [0.25, 2],
    [-2, -0.1],
    [-0.5, 0.75],
  ] as const);
  const [least, most] = [d.chance(0.8), d.chance(0.8)];
  if (d.opset < 11)
    return d.add('Clip', [x.name], { ...(least && { min: low }), ...(most && { max: high }) });
  const bound = (value: number) => d.scalar(value);
  return d.add('Clip', [x.name, least ? bound(low) : null, ...(most ? [bound(high)] : [])]);
};

/** A shape that broadcasts to `dims`: one a channel, a scalar, anything. */
function operandDims(d: Drawing, dims: readonly number[]): number[] {
  const how = d.random.pick(['channel', 'last', 'scalar', 'one', 'any', 'full', 'larger']);
  if (how === 'channel' && dims.length >= 2) return dims.map((size, i) => (i === 1 ? size : 1));
  if (how === 'channel' || how === 'last') return dims.slice(-1);
  if (how === 'scalar') return [];
  if (how === 'one') return [1];
  if (how === 'full') return [...dims];
  if (how === 'larger' && dims.length < 5)
    return [d.random.pick([1, 2]), ...dims.map((size) => (d.chance(0.5) ? 1 : size))];
  return dims.slice(d.random.integer(0, dims.length)).map((size) => (d.chance(0.4) ? 1 : size));
}

const withConstant: Template = (d) => {
  const x = d.float();
  if (!x) return null;
  const op = d.random.pick([
    'Add',
    'Add',
    'Mul',
    'Mul',
    'Sub',
    'Div',
    'Min',
    'Max',
    'PRelu',
    'Sum',
    'Mean',
    'Pow',
  ]);
  const c = d.floats(
    op === 'PRelu' ? operandDims(d, x.exact.dims).slice(-x.exact.dims.length) : operandDims(d, x.exact.dims),
  );
  if (op === 'PRelu') {
    const { dims } = d.find(c).exact;
    if (
      x.exact.dims.length === 0
        ? dims.length > 0
        : dims.some((size, i) => size !== 1 && size !== x.exact.dims.slice(-dims.length)[i])
    )
      return null;
    return d.add(op, [x.name, c]);
  }
  if (op === 'Pow') return d.add(op, [d.add('Abs', [x.name])?.name ?? x.name, c]);
  return d.add(op, d.chance(0.7) ? [x.name, c] : [c, x.name]);
};

const withAnother: Template = (d) => {
  const x = d.float();
  const y = x && (d.chance(0.15) ? x : d.float(0, 5, (dims) => broadcasts(dims, x.exact.dims)));
  if (!x || !y) return null;
  const op = d.random.pick(['Add', 'Add', 'Add', 'Mul', 'Mul', 'Sub', 'Div', 'Min', 'Max']);
  return d.add(op, [x.name, y.name]);
};

const variadic: Template = (d) => {
  const x = d.float();
  if (!x) return null;
  const more = Array.from({ length: d.random.integer(0, 3) }, () => {
    const same = d.chance(0.6);
    return d.float(0, 5, (dims) =>
      same
        ? `${dims}` === `${x.exact.dims}`
        : dims.length <= x.exact.dims.length &&
          dims.every((size, i) => size === 1 || size === x.exact.dims.slice(-dims.length)[i]),
    );
  });
  return d.add(
    d.random.pick(['Sum', 'Sum', 'Mean', 'Max', 'Min']),
    [x, ...more].flatMap((value) => value?.name ?? []),
  );
};

const choice: Template = (d) => {
  const x = d.float();
  const y = x && d.float(0, 5, (dims) => broadcasts(dims, x.exact.dims));
  if (!x || !y) return null;
  const op = d.random.pick(['Less', 'Greater', ...(d.opset >= 12 ? ['LessOrEqual', 'GreaterOrEqual'] : [])]);
  const zero = d.scalar(0.1);
  const condition = d.add(op, [x.name, d.chance(0.5) ? y.name : zero]);
  if (!condition) return null;
  const not = d.chance(0.3) ? d.add('Not', [condition.name]) : condition;
  if (d.chance(0.2)) return d.add('Cast', [not!.name], { to: 1 });
  return d.add('Where', [not!.name, x.name, d.chance(0.5) ? y.name : d.floats(operandDims(d, x.exact.dims))]);
};

const logic: Template = (d) => {
  const a = d.pick(({ exact }) => exact.dtype === 'bool');
  const b = a && d.pick(({ exact }) => exact.dtype === 'bool' && broadcasts(exact.dims, a.exact.dims));
  return a && b && d.add(d.random.pick(['And', 'Or', 'Xor']), [a.name, b.name]);
};

const casts: Template = (d) => {
  const x = d.pick();
  return x && d.add('Cast', [x.name], { to: d.random.pick([d.floating === 'float32' ? 1 : 10, 1, 6, 7, 9]) });
};

const whole: Template = (d) => {
  const fits = ({ exact }: Drawn) => exact.dtype === 'int64' || exact.dtype === 'int32';
  const a = d.pick(fits);
  const b =
    a && d.pick((value) => value.exact.dtype === a.exact.dtype && broadcasts(value.exact.dims, a.exact.dims));
  return (
    a &&
    b &&
    d.add(d.random.pick(['Add', 'Sub', 'Mul', ...(d.opset >= 12 ? ['Max', 'Min'] : []), 'Equal']), [
      a.name,
      b.name,
    ])
  );
};

/** Operators of each element by itself; what the lowering fuses is drawn more often. */
export const pointwiseTemplates: readonly Template[] = [
  ...[unary, unary, unary, clip, dropout, withConstant, withConstant, withAnother, withAnother],
  ...[variadic, choice, logic, casts, whole],
];
