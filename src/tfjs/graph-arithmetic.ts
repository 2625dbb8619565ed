import { check } from '../gpu/errors.ts';
import type { Value } from './graph-builder.ts';
import { constantInput, type Node, type Reader, read, scalar } from './graph-node.ts';
import type { FlatAffine } from './tensorflow.ts';

/** A sum, difference, product or quotient: of two tensors, which only a sum may be, or with a constant. */
export async function arithmetic(reader: Reader, node: Node): Promise<Value> {
  const { builder, constant, products } = reader;
  const { name, op, inputs } = node;
  const at = inputs.findIndex((input) => constant(input));
  const isSum = op === 'Add' || op === 'AddV2' || op === 'BiasAdd';
  if (at < 0) {
    check(isSum, `${name}: ${op} takes a constant`, 'two tensors', 'cut the network before it');
    return builder.join(
      'add',
      name,
      inputs.map((input) => read(reader, node, input)),
    );
  }
  const other = inputs[1 - at];
  const value = read(reader, node, other);
  const tensor = constant(inputs[at])!;
  const features = builder.features(value);
  check(
    tensor.rank <= value.rank &&
      (tensor.size === 1 || (tensor.size === features && tensor.shape.at(-1) === features)),
    `${name}: a constant must have one value, or ${features}, one a feature`,
    `[${tensor.shape}]`,
  );
  const data = await tensor.data();
  const values = Float64Array.from({ length: features }, (_, i) => data[tensor.size === 1 ? 0 : i]);
  const affine = affineOf(node, values, at === 1);
  // What is a convolution or matrix product so far, and read by nobody else, takes it over.
  if (!products.has(other.name) || other.children.length > 1) return builder.affine(name, value, affine);
  builder.scaleOutputs(value.node, affine);
  products.add(name);
  return value;
}

/** The factors and summands that an operation with a constant comes to. */
function affineOf({ name, op }: Node, values: Float64Array, second: boolean): FlatAffine {
  const [ones, zeros] = [1, 0].map((n) => new Float64Array(values.length).fill(n));
  switch (op) {
    case 'Mul':
      return { scale: values, shift: zeros };
    case 'Div':
    case 'RealDiv':
      check(second, `${name}: a constant must not be divided by a tensor`, op);
      return { scale: values.map((x) => 1 / x), shift: zeros };
    case 'Sub':
      return second
        ? { scale: ones, shift: values.map((x) => -x) }
        : { scale: ones.map((x) => -x), shift: values };
    default:
      return { scale: ones, shift: values };
  }
}

/** A lower bound of 0 or an upper one of 6, or both. */
export async function bound(reader: Reader, node: Node): Promise<Value> {
  const { builder, constant } = reader;
  const { name, op, inputs } = node;
  if (op === 'ClipByValue') {
    const low = await scalar(constantInput(reader, node, 1));
    const high = await scalar(constantInput(reader, node, 2));
    check(low === 0 && high === 6, `${name}: values are clipped to 0 and 6`, [low, high]);
    return builder.activation(name, read(reader, node, inputs[0]), 'relu6', name);
  }
  const at = inputs.findIndex((input) => constant(input));
  const limit = at < 0 ? undefined : await scalar(constant(inputs[at])!);
  const wanted = op === 'Maximum' ? 0 : 6;
  check(limit === wanted, `${name}: a ${op} must be of ${wanted}`, limit ?? 'another value');
  return builder.clamp(name, read(reader, node, inputs[1 - at]), op === 'Maximum' ? 'low' : 'high');
}
