import type { ConcreteGraph } from '../graph/concrete.ts';
import { located } from '../graph/infer-node.ts';
import { operatorName, planOperator } from '../graph/ops/operators.ts';
import type { Operand as PlanOperand } from '../graph/ops/plan.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { toWords } from '../graph/ops/value.ts';
import { imageOf } from '../model/images.ts';
import type { OperatorLayer } from './fuse.ts';
import type { Operand } from './lower.ts';
import { type Placement, plain } from './placement.ts';

/** Lowers a node by its operator's plan: a word an element, in the usual order. */
export function operatorSteps(layer: OperatorLayer, graph: ConcreteGraph, placement: Placement): void {
  const { node } = layer;
  const inputs = node.inputs.map((name) => (name === null ? null : graph.values.get(name)!));
  const plan = located(node, () =>
    planOperator({
      operator: operatorName(node),
      opset: graph.opset,
      inputs,
      attributes: node.attributes,
      outputs: node.outputs.length,
    }),
  );
  const read = new Map<number, Operand>();
  const inputAt = (index: number): Operand => {
    const name = node.inputs[index]!;
    const value = inputs[index]!;
    const made: Operand =
      read.get(index) ??
      (value.data
        ? { constant: toWords(name, value as OnnxTensor), label: name }
        : placement.use(name, plain(value.dims)));
    read.set(index, made);
    return made;
  };
  // What is read is brought into place before the first step.
  for (const { buffers } of plan.steps) {
    for (const operand of Object.values(buffers)) if ('input' in operand) inputAt(operand.input);
  }
  const written = new Map<number, Operand>();
  for (const [i, { from, dims, data }] of plan.outputs.entries()) {
    const name = node.outputs[i] ?? '';
    if (from !== undefined && name !== '') {
      placement.view({
        node: { ...node, op: 'Reshape' },
        source: node.inputs[from]!,
        output: name,
      });
    } else if (!data) {
      // An output that nobody reads is written all the same.
      written.set(
        i,
        name === ''
          ? {
              tensor: `${node.name} unread ${i}`,
              byteLength: Math.max(
                4,
                dims.reduce((a, b) => a * b, 4),
              ),
            }
          : placement.define(name, plain(dims)),
      );
    }
  }
  const { dims } = plan.outputs[0];
  const shape = imageOf(dims, Math.max(0, dims.length - 1));
  const operandOf = (operand: PlanOperand): Operand => {
    if ('input' in operand) return inputAt(operand.input);
    if ('output' in operand) return written.get(operand.output)!;
    if ('constant' in operand) return { constant: operand.constant, label: `${node.name}: a constant` };
    return {
      tensor: `${node.name} ${operand.scratch}`,
      byteLength: Math.max(4, operand.count * 4),
    };
  };
  for (const { kernel, specialization, buffers, params } of plan.steps) {
    const operands = Object.fromEntries(
      Object.entries(buffers).map(([name, operand]) => [name, operandOf(operand)]),
    );
    placement.steps.push({ name: node.name, kernel, specialization, operands, params, macs: 0, shape });
  }
}
