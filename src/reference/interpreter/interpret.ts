import { attentions } from './attention.ts';
import { Call, type Definition } from './call.ts';
import { grids } from './grid.ts';
import { indexing } from './indexing.ts';
import { microsoft } from './microsoft.ts';
import { moves } from './move.ts';
import { normalizations } from './normalize.ts';
import { pointwise } from './pointwise.ts';
import { products } from './product.ts';
import { recurrences } from './recurrent.ts';
import { reductions } from './reduce.ts';
import { resizes } from './resize.ts';
import { type GivenTensor, readTensor, type Value } from './value.ts';
import { views } from './view.ts';
import { windowed } from './windows.ts';

export interface ReferenceNode {
  op: string;
  domain?: string;
  name: string;
  inputs: readonly (string | null)[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, unknown>>;
}

/** A network in ONNX's operators, nodes in topological order. */
export interface ReferenceModel {
  graph: {
    opset: number;
    inputs: readonly { name: string }[];
    outputs: readonly string[];
    nodes: readonly ReferenceNode[];
  };
  parameters: ReadonlyMap<string, GivenTensor>;
}

/** Every operator's definition, by ONNX's name; ONNX Runtime's by its domain, too, where ONNX has the name. */
export const definitions: Readonly<Record<string, Definition>> = {
  ...pointwise,
  ...moves,
  ...indexing,
  ...recurrences,
  ...attentions,
  ...microsoft,
  ...grids,
  ...views,
  ...reductions,
  ...windowed,
  ...products,
  ...normalizations,
  ...resizes,
};

/** What a node gives. */
export function define(
  op: string,
  opset: number,
  inputs: readonly (Value | null)[],
  attributes: Readonly<Record<string, unknown>> = {},
  outputs = 1,
): Value[] {
  const definition = definitions[op];
  if (!definition) throw new Error(`no definition of ${op}`);
  return definition(new Call(opset, inputs, outputs, attributes));
}

/**
 * What a network gives by the definitions of its operators, in float64 throughout: no plan, no kernel, no shape that is
 * inferred. Integers wrap at their dtype, 64-bit ones at 32 bits.
 */
export function interpretReference(
  { graph, parameters }: ReferenceModel,
  inputs: Readonly<Record<string, GivenTensor>>,
): Record<string, Value> {
  const values = new Map<string, Value>([...parameters].map(([name, tensor]) => [name, readTensor(tensor)]));
  for (const { name } of graph.inputs) if (inputs[name]) values.set(name, readTensor(inputs[name]));
  const valueNamed = (name: string) => {
    const value = values.get(name);
    if (!value) throw new Error(`nothing makes ${name}`);
    return value;
  };
  for (const { op: own, domain, name, inputs: read, outputs, attributes } of graph.nodes) {
    const op = `${domain}.${own}` in definitions ? `${domain}.${own}` : own;
    try {
      const given = read.map((each) => (each === null || each === '' ? null : valueNamed(each)));
      const made = define(op, graph.opset, given, attributes, outputs.length);
      for (const [i, output] of outputs.entries()) if (output !== '') values.set(output, made[i]);
    } catch (error) {
      throw new Error(`${name} (${op}): ${(error as Error).message}`, { cause: error });
    }
  }
  return Object.fromEntries(graph.outputs.map((name) => [name, valueNamed(name)]));
}
