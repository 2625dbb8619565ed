import type { ConcreteGraph } from '../concrete.ts';
import type { Node } from '../graph.ts';
import { numbersOf } from '../ops/value.ts';

/** What never wins where a pool takes the largest: exporters pad with either. */
const LOWEST = -3.4028234663852886e38;

/**
 * Gives max-pools the padding before them: what a Pad of the lowest number adds, a pool's own padding is. Frameworks
 * without a pool that pads one side only are exported so; the infinities between the two have no range that could be
 * quantized.
 */
export function absorbPads(graph: ConcreteGraph): ConcreteGraph {
  const pads = new Map<string, { source: string; begin: number[]; end: number[] }>();
  for (const node of graph.nodes) {
    const own = spatialPads(graph, node);
    const readers = own ? graph.nodes.filter(({ inputs }) => inputs.includes(node.outputs[0])) : [];
    const isOnly = readers.length > 0 && !graph.outputs.includes(node.outputs[0]);
    if (own && isOnly && readers.every((reader) => takes(reader, own))) pads.set(node.outputs[0], own);
  }
  if (pads.size === 0) return graph;
  const nodes = graph.nodes.flatMap((node) => {
    if (pads.has(node.outputs[0])) return [];
    const own = pads.get(node.inputs[0] ?? '');
    return own ? [padded(node, own)] : [node];
  });
  return { ...graph, nodes };
}

/** A Pad's sizes where it adds the lowest number to spatial dimensions. */
function spatialPads({ values, opset }: ConcreteGraph, { op, inputs, attributes }: Node) {
  const { mode = 'constant' } = attributes;
  if (op !== 'Pad' || mode !== 'constant') return null;
  const rank = values.get(inputs[0]!)!.dims.length;
  const listed = (place: number) => {
    const value = inputs[place] ? values.get(inputs[place])! : null;
    return value && (value.data ? numbersOf(value) : [Number.NaN]);
  };
  const sizes = opset < 11 ? Array.from(attributes.pads as number[], Number) : listed(1)!;
  const [value] = opset < 11 ? [Number(attributes.value ?? 0)] : (listed(2) ?? [0]);
  const axes = (opset < 18 ? null : listed(3)) ?? Array.from({ length: rank }, (_, i) => i);
  if (!(value <= LOWEST) || sizes.some((size) => size < 0)) return null;
  const [begin, end] = [0, 1].map(() => new Array<number>(rank).fill(0));
  for (const [i, axis] of axes.entries()) {
    const own = axis < 0 ? axis + rank : axis;
    begin[own] = sizes[i];
    end[own] = sizes[i + axes.length];
  }
  if (begin[0] + begin[1] + end[0] + end[1] > 0) return null;
  return { source: inputs[0]!, begin: begin.slice(2), end: end.slice(2) };
}

/** Whether a node is a pool each of whose windows still has an element of its own. */
function takes(
  { op, inputs, outputs, attributes }: Node,
  { begin, end }: { begin: number[]; end: number[] },
): boolean {
  const { auto_pad: auto = 'NOTSET', ceil_mode: ceil = 0, dilations } = attributes;
  if (op !== 'MaxPool' || inputs.length !== 1 || outputs.length !== 1 || ceil !== 0) return false;
  if (auto !== 'NOTSET' && auto !== 'VALID') return false;
  if (dilations && Array.from(dilations as number[]).some((step) => Number(step) !== 1)) return false;
  const kernel = Array.from(attributes.kernel_shape as number[], Number);
  const own = ownPads(attributes, kernel.length);
  return kernel.every((size, i) => own[i] + begin[i] < size && own[i + kernel.length] + end[i] < size);
}

const ownPads = ({ pads }: Node['attributes'], spatial: number) =>
  pads ? Array.from(pads as number[], Number) : new Array<number>(2 * spatial).fill(0);

function padded(
  node: Node,
  { source, begin, end }: { source: string; begin: number[]; end: number[] },
): Node {
  const { auto_pad: _, ...attributes } = node.attributes;
  const own = ownPads(attributes, begin.length);
  const pads = [...begin, ...end].map((size, i) => size + own[i]);
  return { ...node, inputs: [source], attributes: { ...attributes, pads } };
}
