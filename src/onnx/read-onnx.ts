import { check } from '../gpu/errors.ts';
import type { GraphModel, ShapeOptions, ValueInfo } from '../graph/graph.ts';
import { OPSETS } from '../graph/ops/operator.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { flatModel } from '../graph/passes/control-flow.ts';
import { inlineFunctions, type Opsets, plainDomain } from './inline-functions.ts';
import {
  type GraphProto,
  type ModelProto,
  type NodeProto,
  readModel,
  type TensorProto,
} from './proto/messages.ts';
import { Wire } from './proto/wire.ts';
import { checkGivenNames, constantInput, inputOf } from './read-inputs.ts';
import { partsOf } from './read-node.ts';
import { type ExternalFiles, externalLocation } from './read-tensor.ts';
import { DAMAGED, Refusals } from './refusals.ts';
import { sortNodes } from './sort-nodes.ts';

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
  /**
   * What inputs are in every run, by name: constants from here on, a number for each of their elements or a tensor. A model
   * with an `If` on such an input (a sampling rate, whether there is a cache) is then the branch that it takes.
   */
  constants?: Readonly<Record<string, number | OnnxTensor>>;
}

/**
 * Reads an ONNX model: its graph in ONNX's operators, its constants as tensors.
 *
 * Any graph of opsets 7 to 27 is read, whatever its operators: those that don't run here are reported by
 * {@link supportedNodes} and where the model is run. Tensors are views of `bytes` where they lie aligned, so do not
 * change `bytes` afterwards. `Constant` nodes and initializers (also those listed as inputs) become parameters, the
 * model's own functions are inlined, nodes get names of their own (`Conv_3`), and are sorted where they were not. An `If`
 * is the branch that it takes, and a `Loop` or `Scan` its rounds, where constants and sizes say which.
 * A Cast to float64 or uint64 is one to float32 or int64: no operator here has those, and exporters leave a few of them.
 * A size that the file leaves open is a symbol: the name that it has there, or `<input>:<axis>`.
 *
 * @param bytes the whole file
 * @returns the model; a promise of it where `externalData` is a function
 * @throws LloydError for bytes that are no sound ONNX file, another opset, an input that is no tensor of a known dtype,
 *   `shapes` and `constants` that the inputs contradict,
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
    ...given
  }: Omit<ReadOnnxOptions, 'externalData'> & { externalData?: ExternalData | ExternalReader } = {},
): GraphModel | Promise<GraphModel> {
  check(bytes instanceof Uint8Array, 'an ONNX model must be a Uint8Array', bytes, 'read the whole file');
  if (typeof externalData === 'function') {
    const reader = externalData;
    return (async () => {
      const opened = open(bytes);
      const files = new Map<string, Uint8Array>();
      for (const location of locationsOf(opened.model)) files.set(location, await reader(location));
      return modelOf(opened, files, given);
    })();
  }
  const files = externalData instanceof Map ? externalData : new Map(Object.entries(externalData ?? {}));
  return modelOf(open(bytes), files, given);
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
  const visit = (nodes: readonly NodeProto[], initializers: readonly TensorProto[] = []) => {
    initializers.forEach(add);
    for (const { tensor, graph: body } of nodes.flatMap(({ attributes }) => attributes)) {
      if (tensor) add(tensor);
      if (body) visit(body.nodes, body.initializers);
    }
  };
  if (graph) visit(graph.nodes, graph.initializers);
  for (const { nodes } of functions) visit(nodes);
  return locations;
}

function modelOf(
  { file, model }: Opened,
  files: ExternalFiles,
  { shapes = {}, constants = {} }: Omit<ReadOnnxOptions, 'externalData'>,
): GraphModel {
  const { graph } = model;
  check(graph, 'an ONNX file must hold a graph', 'none', 'is this an ONNX model?');
  const name = graph.name || 'graph';
  const refusals = new Refusals(name);
  const { opset, opsets } = opsetOf(model, graph);

  if (graph.sparseInitializers > 0) {
    refusals.add('initializers', `${graph.sparseInitializers} of them are sparse`);
  }
  const inlined = inlineFunctions(model, graph.nodes, opsets, file.budget, valueNames(graph), refusals);
  const { nodes, parameters } = partsOf({ ...graph, name, nodes: inlined }, files, refusals);
  const inputs: ValueInfo[] = [];
  const constant = new Set(graph.initializers.map((tensor) => tensor.name));
  for (const info of graph.inputs) {
    // Before IR version 4 every initializer had to be listed as an input; later that makes it a default.
    if (constant.has(info.name)) continue;
    refusals.collect(info.name, () => {
      const input = inputOf(info, shapes);
      if (!Object.hasOwn(constants, info.name)) inputs.push(input);
      else parameters.set(info.name, constantInput(input, constants[info.name]));
    });
  }
  checkGivenNames(name, graph, { shapes, constants });
  refusals.raise();
  const outputs = [...graph.outputs];
  return flatModel({
    graph: { name, opset, inputs, outputs, nodes: sortNodes(name, nodes, inputs, parameters, outputs) },
    parameters,
  });
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

/** Every name that a value of the graph has. */
function valueNames({ inputs, initializers, nodes }: GraphProto): Set<string> {
  const names = new Set<string>();
  for (const { name } of [...inputs, ...initializers]) names.add(name);
  for (const node of nodes) for (const name of node.outputs) names.add(name);
  return names;
}
