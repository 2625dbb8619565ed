import { check, LloydError } from '../gpu/errors.ts';
import type { Dim, GraphModel, Node, ShapeOptions, ValueInfo } from '../graph/graph.ts';
import { MOST_ELEMENTS } from '../graph/ops/node.ts';
import { OPSETS } from '../graph/ops/operator.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { DTYPE_NUMBERS } from '../graph/ops/value.ts';
import { inlineFunctions, type Opsets, plainDomain } from './inline-functions.ts';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  readModel,
  type TensorProto,
  type ValueInfoProto,
} from './proto/messages.ts';
import { Wire } from './proto/wire.ts';
import { readAttributes } from './read-attributes.ts';
import { dtypeName, type ExternalFiles, externalLocation, MOST_DIMS, readTensor } from './read-tensor.ts';
import { sortNodes } from './sort-nodes.ts';
import { int64Of } from './write-attributes.ts';

/** The files beside a model that hold its large tensors, by the location that the model gives. */
export type ExternalData = ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>>;
/** Gets such a file when it is asked for. */
export type ExternalReader = (location: string) => Uint8Array | Promise<Uint8Array>;

/** Options of {@link readOnnx}. */
export interface ReadOnnxOptions {
  /** Files of tensors beside the model. With a function in its place `readOnnx` gives a promise. */
  externalData?: ExternalData;
  /** Sizes for symbols (`{ batch: 1 }`) and whole shapes for inputs (`{ image: [1, 3, 224, 224] }`), kept in the graph. */
  shapes?: ShapeOptions;
}

/**
 * Reads an ONNX model: its graph in ONNX's operators, its constants as tensors.
 *
 * Any graph of opsets 9 to 23 is read, whatever its operators: those that don't run here are reported by
 * {@link supportedNodes} and where the model is run. Tensors are views of `bytes` where they lie aligned, so do not
 * change `bytes` afterwards. `Constant` nodes and initializers (also those listed as inputs) become parameters, the
 * model's own functions are inlined, nodes get names of their own (`Conv_3`), and are sorted where they were not.
 * A size that the file leaves open is a symbol: the name that it has there, or `<input>:<axis>`.
 *
 * @param bytes the whole file
 * @returns the model; a promise of it where `externalData` is a function
 * @throws LloydError for bytes that are no sound ONNX file, another opset, an input that is no tensor of a known dtype,
 *   constants that no operator here takes (bfloat16, strings, sparse ones, float64 that float32 doesn't hold exactly),
 *   values that nothing makes or that depend on themselves, external data that is missing or outside the model's folder
 * @example
 * const bytes = writeOnnx({
 *   graph: {
 *     name: 'double',
 *     opset: 17,
 *     inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 4] }],
 *     outputs: ['y'],
 *     nodes: [{ op: 'Mul', name: 'mul', inputs: ['x', 'two'], outputs: ['y'], attributes: {} }],
 *   },
 *   parameters: new Map([['two', { dtype: 'float32', dims: [], data: Float32Array.of(2) }]]),
 * });
 * const model = readOnnx(bytes, { shapes: { n: 1 } });
 * console.log(model.graph.inputs[0].shape); // [1, 4]
 */
export function readOnnx(bytes: Uint8Array, options?: ReadOnnxOptions): GraphModel;
export function readOnnx(
  bytes: Uint8Array,
  options: Omit<ReadOnnxOptions, 'externalData'> & { externalData: ExternalReader },
): Promise<GraphModel>;
export function readOnnx(
  bytes: Uint8Array,
  {
    externalData,
    shapes,
  }: Omit<ReadOnnxOptions, 'externalData'> & { externalData?: ExternalData | ExternalReader } = {},
): GraphModel | Promise<GraphModel> {
  check(bytes instanceof Uint8Array, 'an ONNX model must be a Uint8Array', bytes, 'read the whole file');
  if (typeof externalData === 'function') {
    const reader = externalData;
    return (async () => {
      const opened = open(bytes);
      const files = new Map<string, Uint8Array>();
      for (const location of locationsOf(opened.model)) files.set(location, await reader(location));
      return modelOf(opened, files, shapes);
    })();
  }
  const given = externalData instanceof Map ? externalData : new Map(Object.entries(externalData ?? {}));
  return modelOf(open(bytes), given, shapes);
}

interface Opened {
  file: Wire;
  model: ModelProto;
}

function open(bytes: Uint8Array): Opened {
  const file = new Wire(bytes);
  return { file, model: readModel(file) };
}

/** Every other file that the model's tensors lie in. */
function locationsOf({ graph, functions }: ModelProto): Set<string> {
  const locations = new Set<string>();
  const add = ({ name, elsewhere, external }: TensorProto) => {
    if (elsewhere) locations.add(externalLocation(name, external));
  };
  for (const tensor of graph?.initializers ?? []) add(tensor);
  for (const { attributes } of [graph?.nodes ?? [], ...functions.map(({ nodes }) => nodes)].flat()) {
    for (const { tensor } of attributes) if (tensor) add(tensor);
  }
  return locations;
}

function modelOf({ file, model }: Opened, files: ExternalFiles, shapes: ShapeOptions = {}): GraphModel {
  const { graph } = model;
  check(graph, 'an ONNX file must hold a graph', 'none', 'is this an ONNX model?');
  const name = graph.name || 'graph';
  const refusals = new Refusals(name);
  const { opset, opsets } = opsetOf(model, graph);

  const parameters = new Map<string, OnnxTensor>();
  if (graph.sparseInitializers > 0) {
    refusals.add('initializers', `${graph.sparseInitializers} of them are sparse`);
  }
  for (const tensor of graph.initializers) {
    const { name: own } = tensor;
    check(
      own !== '' && !parameters.has(own),
      `${name}: an initializer must have a name of its own`,
      own,
      DAMAGED,
    );
    refusals.collect(own, () => parameters.set(own, readTensor(own, tensor, files)));
  }

  const inputs: ValueInfo[] = [];
  const constant = new Set(graph.initializers.map((tensor) => tensor.name));
  for (const info of graph.inputs) {
    // Before IR version 4 every initializer had to be listed as an input; later that makes it a default.
    if (constant.has(info.name)) continue;
    refusals.collect(info.name, () => inputs.push(inputOf(info, shapes)));
  }
  checkShapeNames(name, graph, shapes);

  const values = valueNames(graph);
  const inlined = inlineFunctions(
    model,
    graph.nodes,
    opsets,
    file.budget,
    (value) => values.has(value),
    (node, reason) => refusals.add(node, reason),
  );
  const names = uniqueNames(inlined);
  const nodes: Node[] = [];
  for (const [i, proto] of inlined.entries()) {
    const label = `${names[i]} (${proto.op})`;
    refusals.collect(label, () => {
      const node = nodeOf(names[i], label, proto, files);
      const value = constantOf(node);
      if (value) {
        check(
          !parameters.has(node.outputs[0]) && !constant.has(node.outputs[0]),
          `${name}: a value must be made once`,
          node.outputs[0],
          DAMAGED,
        );
        parameters.set(node.outputs[0], value);
      } else nodes.push(node);
    });
  }
  refusals.raise();
  const outputs = [...graph.outputs];
  return {
    graph: { name, opset, inputs, outputs, nodes: sortNodes(name, nodes, inputs, parameters, outputs) },
    parameters,
  };
}

const DAMAGED = 'is the file damaged?';

/** What a model has that cannot be read, said all at once. */
class Refusals {
  private readonly all: string[] = [];

  constructor(private readonly graph: string) {}

  add(what: string, why: string): void {
    this.all.push(`${what}: ${why}`);
  }

  collect(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof LloydError)) throw error;
      this.last = error;
      this.all.push(error.message.startsWith(what) ? error.message : `${what}: ${error.message}`);
    }
  }

  raise(): void {
    if (this.all.length === 1 && this.last) throw this.last;
    check(
      this.all.length === 0,
      `${this.graph}: ${this.all.length} things of this model cannot be read`,
      this.all,
      'convert them with the tool that made the model',
    );
  }

  private last: LloydError | null = null;
}

function opsetOf({ opsets: imports }: ModelProto, { nodes }: GraphProto): { opset: number; opsets: Opsets } {
  const opsets = new Map<string, number>();
  for (const { domain, version } of imports) {
    const own = plainDomain(domain);
    const before = opsets.get(own) ?? version;
    check(before === version, `${own || 'ai.onnx'} must be imported once`, [before, version], DAMAGED);
    opsets.set(own, version);
  }
  const needed = nodes.some(({ domain }) => plainDomain(domain) === '');
  const opset = opsets.get('') ?? (needed ? 1 : OPSETS.newest);
  check(
    Number.isInteger(opset) && opset >= OPSETS.oldest && opset <= OPSETS.newest,
    `a model must follow an opset from ${OPSETS.oldest} to ${OPSETS.newest}`,
    opset,
    'convert it with onnx.version_converter, or export it again',
  );
  opsets.set('', opset);
  return { opset, opsets };
}

function inputOf({ name, type, shape }: ValueInfoProto, shapes: ShapeOptions): ValueInfo {
  check(name !== '', 'an input must have a name', name, DAMAGED);
  check(type >= 0, `${name} must be a tensor`, 'a sequence, map or optional', 'cut the network behind it');
  const dtype = DTYPE_NUMBERS[type];
  check(
    dtype,
    `${name} must have one of the dtypes ${Object.values(DTYPE_NUMBERS).join(', ')}`,
    dtypeName(type),
    'convert the model to float32 or float16',
  );
  const given =
    Object.hasOwn(shapes, name) && Array.isArray(shapes[name]) ? (shapes[name] as number[]) : null;
  check(shape || given, `${name} has no shape in the file`, 'none', `pass shapes: { '${name}': [sizes] }`);
  const rank = shape?.length ?? given!.length;
  check(rank <= MOST_DIMS, `${name} must have at most ${MOST_DIMS} dimensions`, rank, DAMAGED);
  check(!given || given.length === rank, `${name} has ${rank} dimensions`, given, 'give each of them a size');
  return {
    name,
    dtype,
    shape: Array.from({ length: rank }, (_, axis) => {
      const dim = dimOf(name, axis, shape?.[axis] ?? null);
      const size = given
        ? given[axis]
        : typeof dim === 'string' && Object.hasOwn(shapes, dim)
          ? shapes[dim]
          : dim;
      if (size === dim) return dim;
      check(
        Number.isInteger(size) && (size as number) >= 0 && (size as number) <= MOST_ELEMENTS,
        `${name}: a size must be an integer of 0 or more`,
        size,
        'pass shapes: { symbol: size } or { input: [sizes] }',
      );
      check(
        typeof dim === 'string',
        `${name}: dimension ${axis} is ${dim}`,
        size,
        'give sizes only for its symbols',
      );
      return size as number;
    }),
  };
}

/** A size, or its symbol; exporters write unknown ones as nothing, '', -1 and the like. */
function dimOf(name: string, axis: number, dim: bigint | string | null): Dim {
  if (typeof dim === 'string' && dim !== '') return dim;
  if (typeof dim !== 'bigint' || dim < 0n) return `${name}:${axis}`;
  check(
    dim <= BigInt(MOST_ELEMENTS),
    `${name}: dimension ${axis} must be at most ${MOST_ELEMENTS}`,
    dim,
    'no buffer of a GPU holds more',
  );
  return Number(dim);
}

function checkShapeNames(name: string, { inputs }: GraphProto, shapes: ShapeOptions): void {
  const keys = Object.keys(shapes);
  if (keys.length === 0) return;
  const known = new Set(
    inputs.flatMap((input) => [
      input.name,
      ...(input.shape ?? []).slice(0, MOST_DIMS).map((dim, axis) => String(dimOf(input.name, axis, dim))),
    ]),
  );
  for (const key of keys) {
    check(
      known.has(key),
      `${name}: shapes may name inputs and their symbols`,
      key,
      `they are ${[...known].join(', ')}`,
    );
  }
}

/** Every name that a value of the graph has. */
function valueNames({ inputs, initializers, nodes }: GraphProto): Set<string> {
  const names = new Set<string>();
  for (const { name } of [...inputs, ...initializers]) names.add(name);
  for (const node of nodes) for (const name of node.outputs) names.add(name);
  return names;
}

/** Names of nodes: their own where no earlier node has it, else with their place, or their operator and place. */
function uniqueNames(nodes: readonly NodeProto[]): string[] {
  const given = new Set(nodes.map(({ name }) => name));
  const taken = new Set<string>();
  return nodes.map(({ name, op }, i) => {
    let own = name;
    if (own === '' || taken.has(own)) {
      own = name === '' ? `${op}_${i}` : `${name}_${i}`;
      while (given.has(own) || taken.has(own)) own = `${own}_${i}`;
    }
    taken.add(own);
    return own;
  });
}

function nodeOf(name: string, label: string, proto: NodeProto, files: ExternalFiles): Node {
  check(proto.op !== '', `${name}: a node must have an operator`, '', DAMAGED);
  const domain = plainDomain(proto.domain);
  return {
    op: proto.op,
    ...(domain && { domain }),
    name,
    inputs: proto.inputs.map((input) => (input === '' ? null : input)),
    outputs: proto.outputs,
    attributes: readAttributes(label, proto, files),
  };
}

/** The tensor of a Constant node; null for other nodes. */
function constantOf(node: Node): OnnxTensor | null {
  const { op, domain = '', name, inputs, outputs, attributes } = node;
  if (op !== 'Constant' || domain !== '') return null;
  const entries = Object.entries(attributes);
  const label = `${name} (Constant)`;
  check(
    entries.length === 1 && inputs.length === 0 && outputs.length === 1 && outputs[0] !== '',
    `${label} must have one attribute, one output and no inputs`,
    entries.map(([key]) => key),
    DAMAGED,
  );
  const [[key, value]] = entries;
  if (key === 'value' && typeof value === 'object' && 'dtype' in value) return value;
  if (key === 'value_float' && typeof value === 'number') {
    return { dtype: 'float32', dims: [], data: Float32Array.of(value) };
  }
  if (key === 'value_floats' && value instanceof Float32Array) {
    return { dtype: 'float32', dims: [value.length], data: value };
  }
  if (key === 'value_int' && typeof value === 'number') {
    return { dtype: 'int64', dims: [], data: BigInt64Array.of(int64Of(value)) };
  }
  if (key === 'value_ints' && (Array.isArray(value) || value instanceof BigInt64Array)) {
    const data = value instanceof BigInt64Array ? value : BigInt64Array.from(value as number[], BigInt);
    return { dtype: 'int64', dims: [data.length], data };
  }
  const what = value && typeof value === 'object' && 'kept' in value ? value.kept : key;
  check(
    false,
    `${label} must hold a tensor or numbers`,
    what,
    'strings and sparse tensors have no operators here',
  );
}
