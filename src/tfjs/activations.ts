import { LloydError } from '../gpu/errors.ts';
import type { Attributes } from '../graph/ops/tensors.ts';
import type { GraphBuilder, Value } from './graph-builder.ts';

type Activation = (b: GraphBuilder, name: string, value: Value) => Value;

const one =
  (op: string, attributes: Attributes = {}): Activation =>
  (b, name, value) =>
    b.add(op, name, [value], attributes);

/** Between two numbers; either may be left out. */
export function clip(b: GraphBuilder, name: string, value: Value, low?: number, high?: number): Value {
  const bound = (key: string, number?: number) =>
    number === undefined ? null : b.scalar(`${name}/${key}`, number, value.dtype);
  if (low === 0 && high === undefined) return b.add('Relu', name, [value]);
  return b.add('Clip', name, [value, bound('min', low), ...(high === undefined ? [] : [bound('max', high)])]);
}

export const leakyRelu = (alpha: number): Activation => one('LeakyRelu', { alpha });

/** By the names of Keras and of TensorFlow's fused operations, in lower case without underscores. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  linear: (_, __, value) => value,
  relu: one('Relu'),
  relu6: (b, name, value) => clip(b, name, value, 0, 6),
  elu: one('Elu'),
  selu: one('Selu'),
  sigmoid: one('Sigmoid'),
  hardsigmoid: one('HardSigmoid', { alpha: 0.2, beta: 0.5 }),
  tanh: one('Tanh'),
  softplus: one('Softplus'),
  softsign: one('Softsign'),
  softmax: one('Softmax', { axis: -1 }),
  logsoftmax: one('LogSoftmax', { axis: -1 }),
  swish: (b, name, value) => b.add('Mul', name, [value, b.add('Sigmoid', `${name}/sigmoid`, [value])]),
  gelu: one('Gelu'),
  geluexact: one('Gelu'),
  gelunew: one('Gelu', { approximate: 'tanh' }),
  geluapproximate: one('Gelu', { approximate: 'tanh' }),
  mish: one('Mish'),
};

/** @param kind a name that Keras or TensorFlow has for it; none is the identity */
export function activate(
  b: GraphBuilder,
  name: string,
  value: Value,
  kind: string | null | undefined,
): Value {
  const key = (kind ?? 'linear').toLowerCase().replaceAll('_', '');
  if (!Object.hasOwn(ACTIVATIONS, key)) {
    throw new LloydError(`an activation must be one of ${Object.keys(ACTIVATIONS).join(', ')}`, kind);
  }
  return ACTIVATIONS[key](b, name, value);
}
