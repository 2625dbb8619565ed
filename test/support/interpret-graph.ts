import { concreteGraph } from '../../src/graph/concrete.ts';
import type { ConcreteOptions } from '../../src/graph/concrete-inputs.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import { located } from '../../src/graph/infer-node.ts';
import { executeTwin } from '../../src/graph/ops/execute-twin.ts';
import { operatorName, planOperator } from '../../src/graph/ops/operators.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fromWords, type Value } from '../../src/graph/ops/value.ts';

/** A graph on the host: every node by its kernels' twins, in float64 and rounded to its dtype after each node. */
export function interpretGraph(
  model: GraphModel,
  inputs: Readonly<Record<string, OnnxTensor>>,
  options: ConcreteOptions = {},
): Record<string, OnnxTensor> {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { dims }]) => [name, dims]));
  const graph = concreteGraph(model, { ...options, shapes: { ...options.shapes, ...shapes } });
  const values = new Map<string, Value>([...graph.values].filter(([, value]) => value.data));
  for (const { name } of graph.inputs) values.set(name, inputs[name]);
  for (const node of graph.nodes) {
    located(node, () => {
      const read = node.inputs.map((name) => (name === null ? null : values.get(name)!));
      const { attributes } = node;
      const plan = planOperator({
        operator: operatorName(node),
        opset: graph.opset,
        inputs: read,
        attributes,
        outputs: node.outputs.length,
      });
      for (const [i, { dtype, dims, data }] of executeTwin(plan, read).entries()) {
        if (node.outputs[i]) values.set(node.outputs[i], fromWords(dtype, dims, data));
      }
    });
  }
  return Object.fromEntries(graph.outputs.map((name) => [name, values.get(name) as OnnxTensor]));
}
