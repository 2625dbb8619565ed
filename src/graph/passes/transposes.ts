import type { ConcreteGraph } from '../concrete.ts';
import type { Node } from '../graph.ts';
import { copyBox } from '../ops/copy-step.ts';
import { executeTwin } from '../ops/execute-twin.ts';
import { stridesOf } from '../ops/layout.ts';
import { pointwiseOperators } from '../ops/pointwise.ts';
import { fromWords, numbersOf, type Value } from '../ops/value.ts';

type Perm = readonly number[];

/** A value as another one with its dimensions in another order. */
interface Moved {
  source: string;
  perm: Perm;
}

const REDUCTIONS = [
  'ReduceMean',
  'ReduceSum',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
  'ReduceL1',
  'ReduceL2',
];
const ELEMENT_WISE = /* @__PURE__ */ (() =>
  new Set([...Object.keys(pointwiseOperators), 'Cast', 'CastLike']))();

/**
 * Moves transposes behind what treats all elements alike, or dimensions by number, so that those of a network that was
 * written channels last meet and cancel: what is left are those at its inputs and outputs.
 */
export function sinkTransposes(graph: ConcreteGraph): ConcreteGraph {
  return new Sinking(graph).result();
}

/**
 * The nodes that compute what one does with its dimensions in another order: transposes of what it reads, the node, and
 * transposes back. null where that is more than renaming its axes.
 *
 * @param values gets the values that lie between
 * @param name of the input that is put in the order of `perm`; the others follow
 */
export function throughPermutation(
  graph: ConcreteGraph,
  values: Map<string, Value>,
  node: Node,
  name: string,
  perm: Perm,
): Node[] | null {
  const sinking = new Sinking({ ...graph, inputs: [] }, values, true);
  return sinking.around(node, name, perm);
}

/** What a value is called with its dimensions in the order of `perm`, whoever puts them so. */
const turnedName = (name: string, perm: Perm) => `${name}~${perm.join('')}`;

class Sinking {
  private readonly nodes: Node[] = [];
  private readonly moved = new Map<string, Moved>();
  private readonly made = new Set<string>();
  private readonly constants = new Map<string, string>();
  private readonly views: Map<string, string>;

  constructor(
    private readonly graph: ConcreteGraph,
    private readonly values = new Map(graph.values),
    private readonly anyOperand = false,
  ) {
    this.views = new Map(graph.views);
  }

  around(node: Node, name: string, perm: Perm): Node[] | null {
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    const source = turnedName(name, perm);
    const known = this.values.has(source);
    const { dtype, dims } = this.values.get(name)!;
    this.moved.set(name, { source, perm: inverse });
    if (!this.sink(node)) return null;
    for (const output of node.outputs) if (output !== '') this.make(output);
    if (known) return this.nodes;
    this.values.set(source, { dtype, dims: perm.map((axis) => dims[axis]) });
    const first = {
      op: 'Transpose',
      name: source,
      inputs: [name],
      outputs: [source],
      attributes: { perm: [...perm] },
    };
    return [first, ...this.nodes];
  }

  result(): ConcreteGraph {
    for (const node of this.graph.nodes) {
      if (!this.sink(node)) {
        for (const name of node.inputs) if (name !== null) this.make(name);
        this.nodes.push(node);
      }
    }
    for (const name of this.graph.outputs) this.make(name);
    return { ...this.graph, nodes: this.nodes, values: this.values, views: this.views };
  }

  /** Adds the transpose that a value still waits for. */
  private make(name: string): void {
    const moved = this.moved.get(name);
    if (!moved || this.made.has(name)) return;
    this.made.add(name);
    const { source, perm } = moved;
    const identity = perm.every((axis, i) => axis === i);
    this.nodes.push({
      op: identity ? 'Identity' : 'Transpose',
      name,
      inputs: [source],
      outputs: [name],
      attributes: identity ? {} : { perm: [...perm] },
    });
  }

  private dims(name: string): readonly number[] {
    return this.values.get(name)!.dims;
  }

  /** A name that no other value has: a network's own may be called alike. */
  private fresh(name: string): string {
    let own = name;
    for (let use = 2; this.values.has(own); use++) own = `${name}#${use}`;
    return own;
  }

  /** Whether the node is taken in hand here. */
  private sink(node: Node): boolean {
    if (node.op === 'Transpose') return this.transpose(node);
    const first = node.inputs.find((name) => name !== null && this.moved.has(name));
    if (!first) return false;
    const { source, perm } = this.moved.get(first)!;
    // An input's transpose stays beside it: names of what is computed stay, too.
    if (this.graph.inputs.some(({ name }) => name === source)) return false;
    if (ELEMENT_WISE.has(node.op)) return this.elementWise(node, perm);
    if (node.op === 'Concat') return this.concat(node, perm);
    if (node.inputs[0] !== first) return false;
    if (REDUCTIONS.includes(node.op)) return this.reduction(node, perm);
    if (node.op === 'Pad') return this.pad(node, perm);
    if (node.op === 'Slice') return this.slice(node, perm);
    if (node.op === 'Resize') return this.resize(node, perm);
    const { opset } = this.graph;
    const byAxis = node.op === 'Split' || (/^(Log)?Softmax$/.test(node.op) && opset >= 13);
    if (!byAxis) return false;
    const rank = perm.length;
    const axis = (node.attributes.axis as number | undefined) ?? (node.op === 'Split' ? 0 : -1);
    const inputs = [this.moved.get(first)!.source, ...node.inputs.slice(1)];
    this.replace(node, perm, {
      inputs,
      attributes: { ...node.attributes, axis: perm[(axis + rank) % rank] },
    });
    return true;
  }

  private transpose({ inputs, outputs, attributes }: Node): boolean {
    const name = inputs[0]!;
    const rank = this.dims(name).length;
    const own = Array.from(
      (attributes.perm as number[] | undefined) ?? Array.from({ length: rank }, (_, i) => rank - 1 - i),
    );
    const before = this.moved.get(name);
    const perm = before ? own.map((axis) => before.perm[axis]) : own;
    this.moved.set(outputs[0], { source: before?.source ?? name, perm });
    return true;
  }

  /** Whether an operand can follow `perm` for nothing: it moves along, is a constant, or only its shape changes. */
  private follows(name: string | null, perm: Perm): boolean {
    if (name === null || this.anyOperand) return true;
    const value = this.values.get(name)!;
    const own = this.moved.get(name);
    if (value.data || (own && `${own.perm}` === `${perm}`)) return true;
    const missing = perm.length - value.dims.length;
    const kept = perm.filter((axis) => axis >= missing && value.dims[axis - missing] !== 1);
    return kept.every((axis, i) => i === 0 || kept[i - 1] < axis);
  }

  /** A node whose outputs are now transposes of what it makes of inputs in their own order. */
  private replace(
    node: Node,
    perm: Perm,
    change: { inputs: readonly (string | null)[]; attributes?: Node['attributes'] },
    permOf: (dims: readonly number[]) => Perm = () => perm,
  ): void {
    const outputs = node.outputs.map((name) => {
      if (name === '') return name;
      const value = this.values.get(name)!;
      const own = permOf(value.dims);
      const inverse = own.map((_, axis) => own.indexOf(axis));
      // Readers may have put it in that order before: that one is a view of this.
      const source = this.fresh(turnedName(name, inverse));
      const dims = Array<number>(own.length);
      for (const [i, axis] of own.entries()) dims[axis] = value.dims[i];
      this.values.set(source, { dtype: value.dtype, dims });
      this.moved.set(name, { source, perm: own });
      this.views.set(source, name);
      return source;
    });
    this.nodes.push({ ...node, ...change, outputs });
  }

  /** An operand in the order that `perm` puts into the output's. */
  private operand(name: string, perm: Perm): string {
    const rank = perm.length;
    const own = this.moved.get(name);
    if (own && `${own.perm}` === `${perm}`) return own.source;
    const value = this.values.get(name)!;
    const { dims } = value;
    if (dims.every((size) => size === 1) && dims.length <= rank) {
      this.make(name);
      return name;
    }
    const full = [...Array<number>(rank - dims.length).fill(1), ...dims];
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    const target = inverse.map((axis) => full[axis]);
    if (value.data) {
      const key = turnedName(name, inverse);
      if (!this.constants.has(key)) {
        const strides = stridesOf(full);
        const step = copyBox(
          value.dtype,
          { input: 0 },
          { output: 0 },
          {
            dims: target,
            inputStrides: inverse.map((axis) => strides[axis]),
          },
        );
        const plan = { outputs: [{ dtype: value.dtype, dims: target }], steps: [step] };
        const [{ data }] = executeTwin(plan, [value]);
        this.values.set(key, fromWords(value.dtype, target, data));
        this.constants.set(key, key);
      }
      return key;
    }
    let source = name;
    if (dims.length < rank) {
      this.make(name);
      source = `${name}~rank${rank}`;
      if (!this.values.has(source)) {
        const shape = this.fresh(`${source}/shape`);
        const data = BigInt64Array.from(full, BigInt);
        this.values.set(shape, { dtype: 'int64', dims: [rank], data });
        this.values.set(source, { dtype: value.dtype, dims: full });
        this.nodes.push({
          op: 'Reshape',
          name: source,
          inputs: [name, shape],
          outputs: [source],
          attributes: {},
        });
      }
    }
    const turned = turnedName(source, inverse);
    if (!this.values.has(turned)) {
      this.values.set(turned, { dtype: value.dtype, dims: target });
      this.transpose({
        op: 'Transpose',
        name: turned,
        inputs: [source],
        outputs: [turned],
        attributes: { perm: inverse },
      });
    }
    const { source: base, perm: left } = this.moved.get(turned) ?? { source: turned, perm: [0] };
    if (left.length === 1 || left.every((axis, i) => axis === i)) return base;
    this.make(turned);
    return turned;
  }

  private elementWise(node: Node, perm: Perm): boolean {
    const rank = this.dims(node.outputs[0]).length;
    if (rank !== perm.length || !node.inputs.every((name) => this.follows(name, perm))) return false;
    const inputs = node.inputs.map((name) => (name === null ? null : this.operand(name, perm)));
    this.replace(node, perm, { inputs });
    return true;
  }

  private concat(node: Node, perm: Perm): boolean {
    const rank = perm.length;
    const axis = ((node.attributes.axis as number) + rank) % rank;
    if (!node.inputs.every((name) => this.follows(name, perm))) return false;
    const inputs = node.inputs.map((name) => this.operand(name!, perm));
    this.replace(node, perm, { inputs, attributes: { axis: perm[axis] } });
    return true;
  }

  private reduction(node: Node, perm: Perm): boolean {
    const axes = this.numbers(node, 1, 'axes');
    if (!axes?.length) return false;
    const rank = perm.length;
    const gone = axes.map((axis) => perm[(axis + rank) % rank]);
    const { source } = this.moved.get(node.inputs[0]!)!;
    const keep = node.attributes.keepdims !== 0;
    const left = perm.filter((axis) => !gone.includes(axis));
    const order = [...left].sort((a, b) => a - b);
    const own = keep ? perm : left.map((axis) => order.indexOf(axis));
    this.replace(node, perm, this.withNumbers(node, source, 1, 'axes', gone), () => own);
    return true;
  }

  private pad(node: Node, perm: Perm): boolean {
    const rank = perm.length;
    const pads = this.numbers(node, 1, 'pads');
    if (!pads || node.inputs[3]) return false;
    const moved = Array<number>(rank * 2).fill(0);
    for (const [i, axis] of perm.entries()) {
      moved[axis] = pads[i];
      moved[axis + rank] = pads[i + rank];
    }
    const { source } = this.moved.get(node.inputs[0]!)!;
    this.replace(node, perm, this.withNumbers(node, source, 1, 'pads', moved));
    return true;
  }

  private slice(node: Node, perm: Perm): boolean {
    const rank = perm.length;
    const starts = this.numbers(node, 1, 'starts');
    const axes = this.numbers(node, 3, 'axes') ?? starts?.map((_, i) => i);
    if (!axes || !starts) return false;
    const { source } = this.moved.get(node.inputs[0]!)!;
    const own = axes.map((axis) => perm[(axis + rank) % rank]);
    this.replace(node, perm, this.withNumbers(node, source, 3, 'axes', own));
    return true;
  }

  private resize(node: Node, perm: Perm): boolean {
    const rank = perm.length;
    const [, ...lists] = node.inputs;
    const axes = node.attributes.axes as readonly number[] | undefined;
    const given = lists.map((name) => (name ? this.values.get(name) : undefined));
    const cropped = node.attributes.coordinate_transformation_mode === 'tf_crop_and_resize';
    if (cropped || given.some((value) => value && !value.data)) return false;
    const inputs: (string | null)[] = [this.moved.get(node.inputs[0]!)!.source, ...lists];
    const attributes = { ...node.attributes };
    if (axes) attributes.axes = axes.map((axis) => perm[(axis + rank) % rank]);
    else {
      for (const [i, value] of given.entries()) {
        if (value?.dims[0] !== rank) continue;
        const own = numbersOf(value);
        const list = Array<number>(rank);
        for (const [at, axis] of perm.entries()) list[axis] = own[at];
        const name = this.fresh(`${node.outputs[0]}/list${i}`);
        this.values.set(name, fromWords(value.dtype, [rank], list));
        inputs[i + 1] = name;
      }
    }
    this.replace(node, perm, { inputs, attributes });
    return true;
  }

  /** A list that is an attribute in older opsets and a constant input in newer ones. */
  private numbers(node: Node, input: number, attribute: string): number[] | null {
    const listed = node.attributes[attribute] as ArrayLike<number> | undefined;
    if (listed) return Array.from(listed, Number);
    const name = node.inputs[input];
    const value = name ? this.values.get(name) : undefined;
    return value?.data ? numbersOf(value) : null;
  }

  private withNumbers(node: Node, source: string, input: number, attribute: string, list: number[]) {
    const inputs = [source, ...node.inputs.slice(1)];
    // Before they were inputs they were attributes.
    if (node.attributes[attribute] || (node.inputs.length === 1 && attribute !== 'axes')) {
      return { inputs, attributes: { ...node.attributes, [attribute]: list } };
    }
    if (input === 3 && node.attributes.starts)
      return { inputs, attributes: { ...node.attributes, axes: list } };
    const name = this.fresh(`${node.outputs[0]}/${attribute}`);
    this.values.set(name, { dtype: 'int64', dims: [list.length], data: BigInt64Array.from(list, BigInt) });
    while (inputs.length < input) inputs.push(null as never);
    inputs[input] = name;
    return { inputs, attributes: node.attributes };
  }
}
