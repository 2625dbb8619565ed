import { check } from '../gpu/errors.ts';
import type { Node, Subgraph } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { plainDomain } from './inline-functions.ts';
import type { GraphProto, NodeProto } from './proto/messages.ts';
import { readAttributes } from './read-attributes.ts';
import { constantOf } from './read-constant.ts';
import { type ExternalFiles, readTensor, STAND_INS } from './read-tensor.ts';
import { DAMAGED, Refusals } from './refusals.ts';
import { uniqueNames } from './unique-names.ts';

/** Operators whose graphs may be known to be so many nodes. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

/** A Cast's attributes, to what stands for a dtype that no operator here has. */
function standIns({ op, attributes }: Node): Node['attributes'] {
  const { to } = attributes;
  return op === 'Cast' && typeof to === 'number' && to in STAND_INS
    ? { ...attributes, to: STAND_INS[to] }
    : attributes;
}

/**
 * A node as a graph has it, with the graphs in its attributes where they can be read: what can't be stays bytes, for the
 * node to be refused by name where it runs.
 *
 * @param label what an error calls it
 */
function nodeOf(name: string, label: string, proto: NodeProto, files: ExternalFiles): Node {
  check(proto.op !== '', `${name}: a node must have an operator`, '', DAMAGED);
  const domain = plainDomain(proto.domain);
  const subgraphs = new Map<string, Subgraph>();
  for (const { name: own, graph } of proto.attributes) {
    const read = graph && !domain && CONTROL_FLOW.includes(proto.op) && subgraphOf(graph, files);
    if (read) subgraphs.set(own, read);
  }
  const node = {
    op: proto.op,
    ...(domain && { domain }),
    name,
    inputs: proto.inputs.map((input) => (input === '' ? null : input)),
    outputs: proto.outputs,
    attributes: readAttributes(label, proto, files),
    ...(subgraphs.size > 0 && { subgraphs: Object.fromEntries(subgraphs) }),
  };
  return { ...node, attributes: domain ? node.attributes : standIns(node) };
}

/** What a graph has beside its inputs and outputs. */
export interface Parts {
  nodes: Node[];
  /** Initializers and what Constant nodes hold. */
  parameters: Map<string, OnnxTensor>;
}

/** @param refusals takes what cannot be read */
export function partsOf(
  { name, initializers, nodes }: Pick<GraphProto, 'name' | 'initializers' | 'nodes'>,
  files: ExternalFiles,
  refusals: Refusals,
): Parts {
  const made: Parts = { nodes: [], parameters: new Map() };
  const keep = (own: string, rule: string, read: () => OnnxTensor) => {
    check(own !== '' && !made.parameters.has(own), `${name}: ${rule}`, own, DAMAGED);
    made.parameters.set(own, read());
  };
  for (const tensor of initializers) {
    refusals.collect(tensor.name, () =>
      keep(tensor.name, 'an initializer must have a name of its own', () =>
        readTensor(tensor.name, tensor, files),
      ),
    );
  }
  const names = uniqueNames(nodes);
  for (const [i, proto] of nodes.entries()) {
    const label = `${names[i]} (${proto.op})`;
    refusals.collect(label, () => {
      const node = nodeOf(names[i], label, proto, files);
      const value = constantOf(node);
      if (value) keep(node.outputs[0], 'a value must be made once', () => value);
      else made.nodes.push(node);
    });
  }
  return made;
}

function subgraphOf(graph: GraphProto, files: ExternalFiles): Subgraph | null {
  const refusals = new Refusals(graph.name);
  const parts = partsOf(graph, files, refusals);
  const { inputs, outputs } = graph;
  return refusals.any ? null : { ...parts, inputs: inputs.map(({ name }) => name), outputs };
}
