import { type ConcreteGraph, originOf } from '../concrete.ts';
import type { Node } from '../graph.ts';
import { planOperator } from '../ops/operators.ts';
import { sizeOf } from '../ops/tensors.ts';
import { isFloat } from '../ops/value.ts';

/**
 * Leaves out what changes nothing (Identity, Dropout, a Cast to the same dtype, a Resize to the same size), and writes
 * bounds in one way: a Min or Max with one number is a Clip.
 */
export function simplify(graph: ConcreteGraph): ConcreteGraph {
  const renamed = new Map<string, string>();
  const views = new Map(graph.views);
  const outputs = new Set(graph.outputs);
  const nodes: Node[] = [];
  for (const given of graph.nodes) {
    const inputs = given.inputs.map((name) => (name === null ? null : (renamed.get(name) ?? name)));
    const node = { ...given, inputs };
    const [output] = node.outputs;
    const same = passesOn(graph, node);
    // What stands for the output already, in another order, is no view of it as well.
    if (same && originOf(views, same) !== output && !views.has(output)) views.set(output, same);
    if (same && !outputs.has(output)) renamed.set(output, same);
    else if (same) nodes.push({ ...node, op: 'Identity', inputs: [same], outputs: [output], attributes: {} });
    else nodes.push(asClip(graph, node) ?? node);
  }
  return { ...graph, nodes, views };
}

/** The value that a node only gives another name. */
function passesOn({ values, opset }: ConcreteGraph, node: Node): string | null {
  const { op, inputs, outputs, attributes } = node;
  const unread = outputs.slice(1).every((name) => name === '' || values.get(name)?.data);
  const [from, to] = [inputs[0] && values.get(inputs[0]), values.get(outputs[0])];
  if (!from || !to || !unread || from.dtype !== to.dtype || `${from.dims}` !== `${to.dims}`) return null;
  if (op === 'Identity' || op === 'Dropout' || op === 'Cast') return inputs[0];
  if (!MAY_CHANGE_NOTHING.test(op)) return null;
  const read = inputs.map((name) => (name === null ? null : values.get(name)!));
  const { steps, outputs: made } = planOperator({ operator: op, opset, inputs: read, attributes });
  return steps.length === 0 && made[0].from === 0 ? inputs[0] : null;
}

/** By their attributes, or because they have one operand. */
const MAY_CHANGE_NOTHING =
  /^(Resize|Upsample|Reduce\w+|CastLike|Sum|Max|Min|CumSum|Einsum|Trilu|CenterCropPad|ReverseSequence|Scatter\w*|Concat)$/;

function asClip({ values, opset }: ConcreteGraph, node: Node): Node | null {
  if ((node.op !== 'Max' && node.op !== 'Min') || node.inputs.length !== 2 || opset < 11) return null;
  const at = node.inputs.findIndex((name) => values.get(name!)!.data);
  if (at < 0) return null;
  const [value, limit] = [node.inputs[1 - at]!, node.inputs[at]!];
  const { dims, dtype } = values.get(value)!;
  const bound = values.get(limit)!;
  if (!isFloat(dtype) || sizeOf(bound.dims) !== 1 || bound.dims.length > dims.length) return null;
  // Clip takes scalars: a bound of another rank stays what it is.
  if (bound.dims.length > 0) return null;
  return { ...node, op: 'Clip', inputs: node.op === 'Max' ? [value, limit] : [value, null, limit] };
}
