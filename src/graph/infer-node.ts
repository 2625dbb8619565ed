import { check, LloydError } from '../gpu/errors.ts';
import type { Graph, Node } from './graph.ts';
import { executeTwin } from './ops/execute-twin.ts';
import { operatorName, planOperator } from './ops/operators.ts';
import { sizeOf } from './ops/tensors.ts';
import { fromWords, type Value } from './ops/value.ts';

/**
 * Puts a node's outputs among the values; whether they are all constants.
 *
 * @param most elements of what is computed of constants
 */
export function inferNode(
  node: Node,
  graph: Graph,
  values: Map<string, Value>,
  most = Number.POSITIVE_INFINITY,
): boolean {
  const inputs = node.inputs.map((name) => {
    if (name === null) return null;
    const value = values.get(name);
    check(
      value,
      `${node.name} (${node.op}): an input must be the graph's, a parameter or made by an earlier node`,
      name,
      'put nodes in topological order; a cycle has none',
    );
    return value;
  });
  return located(node, () => {
    const plan = planOperator({
      operator: operatorName(node),
      opset: graph.opset,
      inputs,
      attributes: node.attributes,
      outputs: node.outputs.length,
    });
    const constant =
      inputs.every((value) => value === null || value.data) &&
      plan.outputs.every(({ dims }) => sizeOf(dims) <= most);
    let made: Value[] = plan.outputs.map(({ dtype, dims, data, from }) => {
      if (data) return { dtype, dims, data };
      const source = from !== undefined ? inputs[from] : null;
      return { dtype, dims, ...(source?.data && { data: source.data }) };
    });
    if (constant && made.some(({ data }) => !data)) {
      made = executeTwin(plan, inputs).map(({ dtype, dims, data }) => fromWords(dtype, dims, data));
    }
    check(
      node.outputs.length <= made.length,
      `${node.op} has ${made.length} outputs here`,
      node.outputs.length,
    );
    for (const [i, name] of node.outputs.entries()) if (name !== '') values.set(name, made[i]);
    return node.outputs.every((name, i) => name === '' || made[i].data);
  });
}

/**
 * A node in the terms of operators that run here. Of one sample a batch norm by the statistics of what it reads is an
 * instance norm: so exporters write weights that are standardized, as those of NFNets and of BiT's ResNets.
 *
 * @param read the names that other nodes read, or the graph gives
 */
export function plainNode(node: Node, values: ReadonlyMap<string, Value>, read: ReadonlySet<string>): Node {
  const { op, domain, inputs, outputs, attributes } = node;
  const { training_mode: training, epsilon } = attributes;
  const dims = inputs[0] === null ? undefined : values.get(inputs[0])?.dims;
  const isOne =
    op === 'BatchNormalization' && !domain && training === 1 && dims?.[0] === 1 && dims.length > 2;
  if (!isOne || outputs.slice(1).some((name) => read.has(name))) return node;
  return {
    ...node,
    op: 'InstanceNormalization',
    inputs: inputs.slice(0, 3),
    outputs: outputs.slice(0, 1),
    attributes: epsilon === undefined ? {} : { epsilon },
  };
}

/** The names that nodes read, or the graph gives. */
export function readNames({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>): Set<string> {
  const names = nodes.flatMap(({ inputs }) => inputs.filter((name) => name !== null));
  return new Set([...names, ...outputs]);
}

/** What `work` throws, with the node it is about. */
export function located<T>({ name, op }: Node, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LloydError) || name === '' || error.rule.startsWith(`${name} (`)) throw error;
    const rule = error.rule.startsWith(`${op}: `) ? error.rule.slice(op.length + 2) : error.rule;
    throw new LloydError(`${name} (${op}): ${rule}`, error.received, error.cure, { cause: error });
  }
}
