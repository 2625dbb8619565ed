import { check } from '../gpu/errors.ts';
import type { Dim, GraphModel } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import type { Attributes, OnnxTensor } from '../graph/ops/tensors.ts';
import { DTYPE_NUMBERS, fromWords, numbersOf, type OnnxDType } from '../graph/ops/value.ts';
import { infer, OPSET, type Value } from './infer.ts';
import { nameOutputs } from './name-outputs.ts';

/** Size that a symbol stands for while a graph is read, where it is no batch. */
const PROBE = 128;

export type { Value } from './infer.ts';

/** The end of a slice that goes to the end. */
export const TO_THE_END = 2 ** 31 - 1;

/** A graph under construction that knows every value's dtype and, whatever its symbols, rank. */
export class GraphBuilder {
  private readonly writer: GraphWriter;
  /** What a tensor that is no node's last one is called if it becomes an output. */
  private readonly titles = new Map<string, string>();
  private readonly made = new Map<string, Value>();

  constructor(private readonly name: string) {
    this.writer = new GraphWriter(name, OPSET);
  }

  /** @param shape null where the size is the caller's: the first is the batch, others are called `<input>:<axis>` */
  input(name: string, dtype: OnnxDType, shape: readonly (number | null)[]): Value {
    const dims = shape.map((size, i): Dim => size ?? (i === 0 ? 'batch' : `${name}:${i}`));
    const own = this.writer.input({ name, dtype, shape: dims });
    const probed = dims.map((size) => (typeof size === 'number' ? size : size === 'batch' ? 1 : PROBE));
    const exact = dims.every((size) => typeof size === 'number');
    return { name: own, dtype, rank: dims.length, dims: probed, exact };
  }

  constant(name: string, tensor: OnnxTensor): Value {
    const { dtype, dims, data } = tensor;
    const rank = dims.length;
    return { name: this.writer.constant(name, tensor), dtype, rank, dims, data, exact: true };
  }

  floats(name: string, dims: readonly number[], data: Float32Array): Value {
    return this.constant(name, { dtype: 'float32', dims, data });
  }

  /** A list of int64, as shapes and axes are. */
  integers(name: string, values: readonly number[]): Value {
    return this.constant(name, fromWords('int64', [values.length], values));
  }

  scalar(name: string, value: number, dtype: OnnxDType = 'float32'): Value {
    return this.constant(name, fromWords(dtype, [], [value]));
  }

  /** Adds a node of one output. */
  add(op: string, name: string, inputs: readonly (Value | null)[], attributes: Attributes = {}): Value {
    return this.several(op, name, inputs, attributes, 1)[0];
  }

  /** Adds a node of `count` outputs. */
  several(
    op: string,
    name: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    count: number,
  ): Value[] {
    const made = infer({ op, name, attributes }, inputs, count);
    const read = inputs.map((value) => value?.name ?? null);
    const names =
      count === 1
        ? [this.writer.node(op, name, read, attributes)]
        : this.writer.several(op, name, read, attributes, count);
    return names.map((own, i) => ({ name: own, ...made[i] }));
  }

  rank({ name, rank }: Value): number {
    check(
      rank !== null,
      `${name}: how many dimensions it has must follow from the inputs' shapes`,
      'a shape that is not known before the network runs',
      'give the inputs fixed shapes',
    );
    return rank;
  }

  /** What a value holds whatever the symbols are, as numbers. */
  known(value: Value): number[] | null {
    return value.exact && value.data ? numbersOf({ ...value, dims: value.dims! }) : null;
  }

  cast(name: string, value: Value, dtype: OnnxDType): Value {
    if (value.dtype === dtype) return value;
    const known = this.known(value);
    if (known && dtype !== 'bool') {
      return this.constant(`${name}/${dtype}`, fromWords(dtype, value.dims!, known.map(wholeIf(dtype))));
    }
    const to = Number(Object.entries(DTYPE_NUMBERS).find(([, own]) => own === dtype)![0]);
    return this.add('Cast', `${name}/${dtype}`, [value], { to });
  }

  /** The same elements with other dims, a constant without a node. */
  reshape(name: string, value: Value, shape: readonly number[]): Value {
    if (value.exact && value.data && !shape.some((size) => size < 0)) {
      return this.constant(name, { dtype: value.dtype, dims: shape, data: value.data } as OnnxTensor);
    }
    return this.add('Reshape', name, [value, this.integers(`${name}/shape`, shape)]);
  }

  transpose(name: string, value: Value, perm: readonly number[]): Value {
    return this.add('Transpose', name, [value], { perm: [...perm] });
  }

  unsqueeze(name: string, value: Value, axes: readonly number[]): Value {
    return this.add('Unsqueeze', name, [value, this.integers(`${name}/axes`, axes)]);
  }

  squeeze(name: string, value: Value, axes: readonly number[]): Value {
    return this.add('Squeeze', name, [value, this.integers(`${name}/axes`, axes)]);
  }

  slice(
    name: string,
    value: Value,
    axes: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
    steps: readonly number[] = [],
  ): Value {
    const lists = { starts, ends, axes, ...(steps.some((step) => step !== 1) && { steps }) };
    const inputs = Object.entries(lists).map(([key, list]) => this.integers(`${name}/${key}`, list));
    return this.add('Slice', name, [value, ...inputs]);
  }

  reduce(
    op: string,
    name: string,
    value: Value,
    axes: Value | readonly number[] | null,
    keepdims: boolean,
  ): Value {
    const list = axes && ('name' in axes ? axes : this.integers(`${name}/axes`, axes));
    // Over an image's pixels it is a pool, which keeps them as one.
    const pools = !keepdims && value.rank === 4 && Array.isArray(axes) && isSpatial(axes);
    const made = this.add(op, name, list ? [value, list] : [value], { keepdims: Number(keepdims || pools) });
    return pools ? this.squeeze(`${name}/squeezed`, made, axes) : made;
  }

  /** One size of a value, as a list of one int64. */
  size(name: string, value: Value, axis: number): Value {
    if (value.exact && value.dims) return this.integers(name, [value.dims[axis]]);
    return this.add('Shape', name, [value], { start: axis, end: axis + 1 });
  }

  /** A list of int64 from numbers and lists. */
  list(name: string, parts: readonly (number | Value)[]): Value {
    if (parts.every((part) => typeof part === 'number')) return this.integers(name, parts as number[]);
    const values = parts.map((part, i) =>
      typeof part === 'number' ? this.integers(`${name}/${i}`, [part]) : part,
    );
    return this.add('Concat', name, values, { axis: 0 });
  }

  /** One value for everybody who asks for it by this key. */
  once(key: string, make: () => Value): Value {
    const value = this.made.get(key) ?? make();
    this.made.set(key, value);
    return value;
  }

  /** What an output is called that ends in this value. */
  title(value: Value, name: string): void {
    if (!this.titles.has(value.name)) this.titles.set(value.name, name);
  }

  model(outputs: readonly { name: string; value: Value }[], options: { logits?: boolean } = {}): GraphModel {
    const model = this.writer.model([]);
    const ends = outputs.map(({ name, value }) => ({ name, value: value.name }));
    return nameOutputs(model, ends, { ...options, titles: this.titles, name: this.name });
  }
}

/** Height and width, wherever channels are. */
const isSpatial = (axes: readonly number[]) =>
  ['1,2', '2,3'].includes(`${axes.map((axis) => (axis < 0 ? axis + 4 : axis)).sort()}`);

const wholeIf = (dtype: OnnxDType) => (value: number) => (dtype === 'float32' ? value : Math.trunc(value));
