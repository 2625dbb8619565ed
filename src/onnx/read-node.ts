import { check, LloydError } from '../gpu/errors.ts';
import type { Node, Subgraph } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { plainDomain } from './inline-functions.ts';
import type { GraphProto, NodeProto } from './proto/messages.ts';
import { readAttributes } from './read-attributes.ts';
import { constantOf } from './read-constant.ts';
import { type ExternalFiles, readTensor } from './read-tensor.ts';
import { DAMAGED } from './refusals.ts';
import { uniqueNames } from './unique-names.ts';

/** Operators whose graphs may be known to be so many nodes. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

/**
 * A node as a graph has it, with the graphs in its attributes where they can be read: what can't be stays bytes, for the
 * node to be refused by name where it runs.
 *
 * @param label what an error calls it
 */
export function nodeOf(name: string, label: string, proto: NodeProto, files: ExternalFiles): Node {
  check(proto.op !== '', `${name}: a node must have an operator`, '', DAMAGED);
  const domain = plainDomain(proto.domain);
  const subgraphs = new Map<string, Subgraph>();
  for (const { name: own, graph } of proto.attributes) {
    const read = graph && !domain && CONTROL_FLOW.includes(proto.op) && subgraphOf(graph, files);
    if (read) subgraphs.set(own, read);
  }
  return {
    op: proto.op,
    ...(domain && { domain }),
    name,
    inputs: proto.inputs.map((input) => (input === '' ? null : input)),
    outputs: proto.outputs,
    attributes: readAttributes(label, proto, files),
    ...(subgraphs.size > 0 && { subgraphs: Object.fromEntries(subgraphs) }),
  };
}

function subgraphOf(graph: GraphProto, files: ExternalFiles): Subgraph | null {
  try {
    const parameters = new Map<string, OnnxTensor>();
    for (const tensor of graph.initializers)
      parameters.set(tensor.name, readTensor(tensor.name, tensor, files));
    const names = uniqueNames(graph.nodes);
    const nodes: Node[] = [];
    for (const [i, proto] of graph.nodes.entries()) {
      const node = nodeOf(names[i], `${names[i]} (${proto.op})`, proto, files);
      const value = constantOf(node);
      if (value) parameters.set(node.outputs[0], value);
      else nodes.push(node);
    }
    return { inputs: graph.inputs.map(({ name }) => name), outputs: graph.outputs, nodes, parameters };
  } catch (error) {
    if (error instanceof LloydError) return null;
    throw error;
  }
}
