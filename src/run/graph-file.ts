import { check, LloydError } from '../gpu/errors.ts';
import type { Graph, Node, ValueInfo } from '../graph/graph.ts';
import type { Attributes, AttributeValue, OnnxTensor } from '../graph/ops/tensors.ts';
import { checkTensor, fromWords, type OnnxDType } from '../graph/ops/value.ts';
import { checkFlat } from '../graph/passes/control-flow.ts';
import { isImageModel, type Model } from '../model/graph.ts';

const CURE = 'write the file again';
const RULE = "a file's graph must be one that this library wrote";

/**
 * A graph as the text that a file keeps it in.
 *
 * @throws LloydError for a graph with subgraphs
 */
export function graphText(graph: Graph): string {
  checkFlat(graph);
  return JSON.stringify(graph, (_, value) => {
    if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, String);
    return typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value;
  });
}

/**
 * A graph from what {@link graphText} made of it.
 *
 * @throws LloydError for anything else
 */
export function parseGraph(text: string): Graph {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new LloydError(RULE, 'text that is no JSON', CURE, { cause });
  }
  const graph = record(given, 'a graph');
  const { name, opset } = graph;
  check(typeof name === 'string' && Number.isInteger(opset), RULE, 'no name or opset', CURE);
  return {
    name: name as string,
    opset: opset as number,
    inputs: list(graph.inputs, 'inputs').map(valueInfo),
    outputs: list(graph.outputs, 'outputs').map((output) => textOf(output, 'an output')),
    nodes: list(graph.nodes, 'nodes').map(node),
  };
}

function valueInfo(given: unknown): ValueInfo {
  const { name, dtype, shape } = record(given, 'an input');
  const dims = list(shape, 'a shape');
  const known = dims.every((d) => typeof d === 'string' || (Number.isInteger(d) && (d as number) >= 0));
  check(known, RULE, 'a shape of something else than sizes and symbols', CURE);
  return {
    name: textOf(name, "an input's name"),
    dtype: textOf(dtype, "an input's dtype") as OnnxDType,
    shape: dims as (number | string)[],
  };
}

function node(given: unknown): Node {
  const { op, domain, name, inputs, outputs, attributes } = record(given, 'a node');
  const own: Attributes = {};
  for (const [key, value] of Object.entries(record(attributes, "a node's attributes")))
    own[key] = attribute(value);
  return {
    op: textOf(op, 'an operator'),
    ...(domain !== undefined && { domain: textOf(domain, 'a domain') }),
    name: textOf(name, "a node's name"),
    inputs: list(inputs, "a node's inputs").map((each) => (each === null ? null : textOf(each, 'an input'))),
    outputs: list(outputs, "a node's outputs").map((each) => textOf(each, 'an output')),
    attributes: own,
  };
}

function attribute(value: unknown): AttributeValue {
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map((each) => number(each)) as number[] | string[];
  const { number: special, dtype, dims, data } = record(value, 'an attribute');
  if (special !== undefined) return Number(special);
  const sizes = list(dims, "a tensor's dims") as number[];
  const tensor = fromWords(textOf(dtype, 'a dtype') as OnnxDType, sizes, list(data, 'a tensor').map(Number));
  checkTensor("a file's graph: an attribute", tensor as OnnxTensor);
  return tensor;
}

/** Numbers that JSON lacks are objects, those of typed arrays are text. */
function number(value: unknown): number | string {
  if (typeof value === 'number') return value;
  if (typeof value === 'string')
    return value.trim() !== '' && !Number.isNaN(Number(value)) ? Number(value) : value;
  return Number(record(value, 'a number').number);
}

function record(value: unknown, what: string): Record<string, unknown> {
  const is = typeof value === 'object' && value !== null && !Array.isArray(value);
  check(is, RULE, `${what} that is no object`, CURE);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): unknown[] {
  check(Array.isArray(value), RULE, `${what} that are no list`, CURE);
  return value;
}

function textOf(value: unknown, what: string): string {
  check(typeof value === 'string', RULE, `${what} that is no text`, CURE);
  return value;
}

/** The constant that a layer's weights are kept in, and whether that is a matrix of inputs x outputs. */
export function weightOf(model: Model, layer: string): { parameter: string; inputMajor: boolean } {
  if (isImageModel(model)) return { parameter: `${layer}.weight`, inputMajor: false };
  const own = model.graph.nodes.find(({ name }) => name === layer);
  check(own?.inputs[1], 'a file may quantize only weights of its network', layer, CURE);
  return { parameter: own.inputs[1], inputMajor: own.op !== 'Conv' && !own.attributes.transB };
}
