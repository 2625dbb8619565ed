import type { KernelPreference } from '../../src/conv/kernel-choice.ts';
import type { Graph, GraphModel, Node, ShapeOptions, ValueInfo } from '../../src/graph/graph.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fromWords, type OnnxDType } from '../../src/graph/ops/value.ts';
import { define } from '../../src/reference/interpreter/interpret.ts';
import { readTensor, sizeOf, type Value } from '../../src/reference/interpreter/value.ts';
import { int64s, randomTensor } from './planned.ts';
import { seeded } from './runtime.ts';

/** A value of the graph as it comes out, and as it would if every node were off by about as much as float32 is. */
export interface Drawn {
  name: string;
  exact: Value;
  noisy: Value;
  /** It follows from shapes and constants alone. */
  known: boolean;
  from: 'input' | 'constant' | 'node';
}

export interface RandomGraph {
  model: GraphModel;
  inputs: Record<string, OnnxTensor>;
  shapes: ShapeOptions;
  kernels: KernelPreference;
}

/** What a node adds to its outputs in the noisy run, in parts of the largest element; well above float32's rounding. */
const NOISE = 1e-6;
/** How far a value may drift in the noisy run: half of what a session's outputs may be off. */
const DRIFT = 5e-6;
const LARGEST = 60;
/** Below it are float16's subnormals. */
const SMALLEST = 1e-4;
const MOST_ELEMENTS = 4000;

const largestOf = (data: ArrayLike<number>) =>
  Array.from(data).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** Normal numbers of a float's dtype. */
export const floatTensor = (
  random: ReturnType<typeof seeded>,
  dtype: OnnxDType,
  dims: readonly number[],
  scale = 1,
) => fromWords(dtype, dims, random.floats(sizeOf(dims), scale));

/** A graph under construction; {@link add} refuses a node whose result float32 would not hold. */
export class Drawing {
  readonly random: ReturnType<typeof seeded>;
  readonly opset: number;
  /** Of the graph's floats. */
  readonly floating: OnnxDType;
  /** Now and then more channels than a vector, a tile or a row of threads has. */
  readonly sizes: readonly number[];
  readonly values: Drawn[] = [];
  readonly inputs: Record<string, OnnxTensor> = {};
  private readonly infos: ValueInfo[] = [];
  private readonly nodes: Node[] = [];
  private readonly parameters = new Map<string, OnnxTensor>();
  private readonly shapes: Record<string, number> = {};
  private serial = 0;

  constructor(readonly seed: number) {
    this.random = seeded(seed);
    this.opset = this.random.pick([9, 11, 13, 13, 15, 17, 17, 18, 20, 21, 23]);
    this.floating = this.chance(0.08) ? 'float16' : 'float32';
    this.sizes = this.chance(0.1) ? [1, 2, 5, 17, 33, 130] : [1, 1, 2, 3, 4, 5];
  }

  chance = (probability: number) => this.random.next() < probability;

  input(dtype: OnnxDType, dims: readonly number[]): Drawn {
    const name = `in${this.infos.length}`;
    const tensor =
      dtype === this.floating
        ? floatTensor(this.random, dtype, dims)
        : randomTensor(this.random, dtype, dims, 1);
    // A symbol means one size wherever it stands.
    const shape = dims.map((size, i) => {
      if (i > 0 || !this.chance(0.4)) return size;
      const symbol = this.shapes.batch === undefined || this.shapes.batch === size ? 'batch' : `${name} rows`;
      this.shapes[symbol] = size;
      return symbol;
    });
    this.infos.push({ name, dtype, shape });
    this.inputs[name] = tensor;
    const exact = readTensor(tensor);
    return this.put(name, exact, this.noisy(exact), false, 'input');
  }

  constant(tensor: OnnxTensor): string {
    const name = `c${this.serial++}`;
    this.parameters.set(name, tensor);
    const value = readTensor(tensor);
    // Exact: it may be the scales of a Resize.
    this.put(name, value, value, true, 'constant');
    return name;
  }

  floats(dims: readonly number[], scale = 1): string {
    return this.constant(floatTensor(this.random, this.floating, dims, scale));
  }

  scalar(value: number): string {
    return this.constant(fromWords(this.floating, [], [value]));
  }

  integers(...values: number[]): string {
    return this.constant(int64s(...values));
  }

  private put(name: string, exact: Value, noisy: Value, known: boolean, from: Drawn['from']): Drawn {
    const drawn = { name, exact, noisy, known, from };
    this.values.push(drawn);
    return drawn;
  }

  find = (name: string) => this.values.find((value) => value.name === name)!;

  /** A value that fits, the newest ones first; null where there is none. */
  pick(fits: (value: Drawn) => boolean = () => true): Drawn | null {
    const all = this.values.filter((value) => value.from !== 'constant' && fits(value));
    if (all.length === 0) return null;
    return this.chance(0.6)
      ? all[Math.max(0, all.length - 1 - this.random.integer(0, 2))]
      : this.random.pick(all);
  }

  float(least = 0, most = 5, fits: (dims: readonly number[]) => boolean = () => true): Drawn | null {
    return this.pick(({ exact: { dtype, dims } }) => {
      return dtype === this.floating && dims.length >= least && dims.length <= most && fits(dims);
    });
  }

  /** Adds a node unless its outputs are too large, not finite or not stable; the first output. */
  add(
    op: string,
    inputs: readonly (string | null)[],
    attributes: Attributes = {},
    outputs = 1,
  ): Drawn | null {
    return this.several(op, inputs, attributes, outputs)?.[0] ?? null;
  }

  several(
    op: string,
    inputs: readonly (string | null)[],
    attributes: Attributes = {},
    outputs = 1,
  ): Drawn[] | null {
    const read = inputs.map((name) => (name === null ? null : this.find(name)));
    const run = (of: 'exact' | 'noisy') =>
      define(
        op,
        this.opset,
        read.map((value) => (value === null ? null : value[of])),
        attributes,
        outputs,
      ).slice(0, outputs);
    let [exact, noisy]: Value[][] = [];
    try {
      [exact, noisy] = [run('exact'), run('noisy')];
    } catch (error) {
      // Shapes that were drawn apart need not fit.
      if (/no broadcast/.test((error as Error).message)) return null;
      throw error;
    }
    const known = op === 'Shape' || op === 'Size' || read.every((value) => value === null || value.known);
    for (const [i, { dtype, dims, data }] of exact.entries()) {
      const largest = largestOf(data);
      if (dims.length > 5 || !(sizeOf(dims) <= MOST_ELEMENTS) || !(largest <= LARGEST)) return null;
      if (largest > 0 && largest < SMALLEST) return null;
      const drift = dtype.startsWith('float') ? DRIFT * largest : 0;
      if (noisy[i].data.some((x, at) => !(Math.abs(x - data[at]) <= drift))) return null;
      if (!known) noisy[i] = this.noisy(noisy[i]);
    }
    const name = `${op.toLowerCase()}${this.serial++}`;
    const names = exact.map((_, i) => (i === 0 ? name : `${name}:${i}`));
    this.nodes.push({ op, name, inputs: [...inputs], outputs: names, attributes });
    return exact.map((value, i) => this.put(names[i], value, noisy[i], known, 'node'));
  }

  /** A value with every float off by some of what float32 may be off. */
  private noisy(value: Value): Value {
    if (!value.dtype.startsWith('float')) return value;
    const unit = NOISE * largestOf(value.data);
    return { ...value, data: value.data.map((x) => x + (this.random.next() * 2 - 1) * unit) };
  }

  /** The graph with what is drawn of it: some of its last values, and a few of any kind. */
  finish(): RandomGraph {
    if (!this.values.some(({ from, known }) => from === 'node' && !known))
      this.add('Identity', [this.infos[0].name]);
    const made = this.values.filter(({ from, known }) => from === 'node' && !known);
    const outputs = new Set(made.slice(-1).map(({ name }) => name));
    for (const { name } of made) if (this.chance(0.2)) outputs.add(name);
    const others = this.values.filter(({ from, known }) => from !== 'node' || known);
    for (const { name } of others) if (this.chance(0.04)) outputs.add(name);
    if (outputs.size === 0) outputs.add(this.infos[0].name);
    const graph: Graph = {
      name: `random ${this.seed}`,
      opset: this.opset,
      inputs: this.infos,
      outputs: [...outputs],
      nodes: this.nodes,
    };
    const kernels = this.random.pick(['auto', 'auto', 'registers', 'tiled'] as const);
    return {
      model: { graph, parameters: this.parameters },
      inputs: this.inputs,
      shapes: this.shapes,
      kernels,
    };
  }
}

/** Draws something onto a graph, if what is there allows it. */
export type Template = (d: Drawing) => unknown;

/** Whether shapes broadcast. */
export const broadcasts = (a: readonly number[], b: readonly number[]) => {
  const rank = Math.min(a.length, b.length);
  const [left, right] = [a.slice(a.length - rank), b.slice(b.length - rank)];
  return left.every((size, i) => size === right[i] || size === 1 || right[i] === 1);
};
