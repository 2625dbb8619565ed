import { LloydError } from '../gpu/errors.ts';
import { whyUnknown } from '../graph/concrete.ts';
import { type ConcreteOptions, knownValues } from '../graph/concrete-inputs.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { inferNode, plainNode, readNames } from '../graph/infer-node.ts';
import { plainModel } from '../graph/passes/control-flow.ts';

/** A node that doesn't run here. */
export interface RefusedNode {
  node: string;
  op: string;
  /** '' for ONNX's own operators. */
  domain: string;
  /** The attribute that is refused, where it is one. */
  attribute?: string;
  reason: string;
}

/** How many of a graph's nodes run, and what keeps the others from it. */
export interface NodeSupport {
  total: number;
  supported: number;
  refused: RefusedNode[];
}

/**
 * Which of a model's nodes run here, and why the others don't: all of them at once.
 *
 * Operators, opsets and domains are looked at for every node; dtypes, ranks and attributes where the shapes of what a
 * node reads are known, so give `shapes` for a model whose inputs have symbols.
 *
 * @throws LloydError for `shapes` that contradict the model
 * @example
 * const node = (op: string, input: string): Node => {
 *   return { op, name: op, inputs: [input], outputs: [`after ${op}`], attributes: {} };
 * };
 * const inputs: ValueInfo[] = [{ name: 'x', dtype: 'float32', shape: [2, 3] }];
 * const nodes = [node('Relu', 'x'), node('Det', 'after Relu')];
 * const graph: Graph = { name: 'two', opset: 17, inputs, nodes, outputs: ['after Det'] };
 * const { total, supported, refused } = supportedNodes({ graph, parameters: new Map() });
 * console.log(`${supported} of ${total}`, refused[0].op); // 1 of 2 Det
 */
export function supportedNodes(model: GraphModel, options: ConcreteOptions = {}): NodeSupport {
  const { graph, parameters } = plainModel(model, options);
  const values = knownValues({ graph, parameters }, options);
  const read = readNames(graph);
  const refused: RefusedNode[] = [];
  for (const node of graph.nodes) {
    const { name, op, domain = '' } = node;
    const refuse = (reason: string, attribute?: string) =>
      refused.push({ node: name, op, domain, ...(attribute !== undefined && { attribute }), reason });
    const kept = keptAttribute(node);
    const unknown = whyUnknown(node, graph.opset);
    if (kept) refuse(`${kept.name} is ${kept.what}`, kept.name);
    else if (unknown) refuse(unknown);
    else if (node.inputs.every((input) => input === null || values.has(input))) {
      try {
        inferNode(plainNode(node, values, read), graph, values);
      } catch (error) {
        if (!(error instanceof LloydError)) throw error;
        refuse(error.message.replace(`${name} (${op}): `, ''), attributeOf(error, node));
      }
    }
  }
  return { total: graph.nodes.length, supported: graph.nodes.length - refused.length, refused };
}

/** An attribute that no operator here takes, whatever the operator: a subgraph, for one. */
function keptAttribute({ attributes }: Node): { name: string; what: string } | undefined {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'object' && 'kept' in value) return { name, what: value.kept };
  }
  return undefined;
}

/** The attribute that an operator's refusal is about. */
function attributeOf({ rule, received }: LloydError, { attributes }: Node): string | undefined {
  const names = Object.keys(attributes);
  return names.find((name) => received === name || rule.includes(`: ${name} must `));
}
