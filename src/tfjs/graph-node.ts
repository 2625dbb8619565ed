import { check, LloydError } from '../gpu/errors.ts';
import type { GraphBuilder, Value } from './graph-builder.ts';
import type { Pads, Pair, TfjsTensor } from './tensorflow.ts';

/** A TensorFlow node as tfjs' executor keeps it (tfjs-converter 4.22). */
export interface Node {
  name: string;
  op: string;
  inputNames: string[];
  inputs: Node[];
  children: Node[];
  attrParams: Record<string, { value?: unknown } | undefined>;
}

export interface Reader {
  builder: GraphBuilder;
  constant(node: Node): TfjsTensor | undefined;
  values: Map<string, Value>;
  /** Nodes that stand for a convolution or matrix product, with constants multiplied in. */
  products: Set<string>;
  /** What SpaceToBatchND left, and the convolution of it: dilated as soon as BatchToSpaceND says what is cropped. */
  batched: Map<string, Batched>;
}

export interface Batched {
  block: Pair;
  pads: Pads;
  value: Value;
  convolve?: (pads: Pads, dilations: Pair) => Promise<Value>;
}

/** What a node's input is in our graph. */
export function read({ values, batched }: Reader, node: Node, input: Node | undefined): Value {
  check(
    !input || !batched.has(input.name),
    `${node.name}: between SpaceToBatchND and BatchToSpaceND there may be one convolution, unpadded and of stride 1`,
    node.op,
  );
  return (
    values.get(input?.name ?? '') ?? missing(node, input?.name ?? 'no input', 'one input must be computed')
  );
}

export async function scalar(tensor: TfjsTensor): Promise<number | undefined> {
  return tensor.size === 1 ? (await tensor.data())[0] : undefined;
}

export function constantInput({ constant }: Reader, node: Node, index: number): TfjsTensor {
  const input = node.inputs[index];
  return (input && constant(input)) ?? missing(node, input?.name ?? `input ${index}`);
}

export function missing(node: Node, what: string, rule = 'all but the image must be constants'): never {
  throw new LloydError(`${node.name} (${node.op}): ${rule}`, what, 'freeze the model');
}

/** Height and width of an NHWC list. */
export function middle(name: string, list: unknown): Pair {
  const whole = Array.isArray(list) && list.length === 4 && list.every((size) => typeof size === 'number');
  check(whole, `${name}: a window must have four sizes: batch, height, width, channels`, list);
  const [batch, height, width, channels] = list as number[];
  check(batch === 1 && channels === 1, `${name}: windows are over height and width`, list);
  return [height, width];
}

export function paddingOf({ name, attrParams }: Node): string | Pads {
  const padding = attrParams.pad?.value;
  if (padding !== 'explicit') {
    const known = padding === 'same' || padding === 'valid';
    check(known, `${name}: padding must be SAME, VALID or EXPLICIT`, padding);
    return padding;
  }
  const pads = attrParams.explicitPaddings?.value;
  const whole = Array.isArray(pads) && pads.length === 8 && pads.every((size) => typeof size === 'number');
  check(whole, `${name}: explicit paddings must be eight sizes`, pads);
  const [, , top, bottom, left, right] = pads as number[];
  return [top, left, bottom, right];
}
