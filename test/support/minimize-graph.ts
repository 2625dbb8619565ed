import type { GraphModel, Node } from '../../src/graph/graph.ts';
import { fromWords } from '../../src/graph/ops/value.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';
import type { RandomGraph } from './drawing.ts';

/** The nodes that outputs depend on. */
function needed(nodes: readonly Node[], outputs: readonly string[]): Node[] {
  const wanted = new Set(outputs);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    for (const name of node.inputs) if (name !== null) wanted.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

/** A graph with fewer outputs, and inputs in place of what its values are made from, which fails as the whole one does. */
export async function minimizeGraph(
  whole: RandomGraph,
  fails: (graph: RandomGraph) => Promise<boolean>,
): Promise<RandomGraph> {
  const { model, inputs } = whole;
  const every = model.graph.nodes.flatMap(({ outputs }) => outputs);
  const values = interpretReference({ ...model, graph: { ...model.graph, outputs: every } }, inputs);
  const rebuilt = (
    nodes: readonly Node[],
    outputs: readonly string[],
    cut: ReadonlySet<string>,
  ): RandomGraph => {
    const kept = needed(
      nodes.filter((node) => !node.outputs.some((name) => cut.has(name))),
      outputs,
    );
    const read = new Set([...kept.flatMap((node) => node.inputs), ...outputs]);
    const given = model.graph.inputs.filter(({ name }) => read.has(name));
    const made = [...cut].filter((name) => read.has(name));
    const infos = made.map((name) => ({
      name,
      dtype: values[name].dtype as 'float32',
      shape: values[name].dims,
    }));
    const tensors = made.map((name) => {
      const { dtype, dims, data } = values[name];
      return [name, fromWords(dtype as 'float32', dims, data)] as const;
    });
    const parameters = new Map([...model.parameters].filter(([name]) => read.has(name)));
    const symbols = new Set(given.flatMap(({ shape }) => shape));
    return {
      model: {
        graph: { ...model.graph, inputs: [...given, ...infos], outputs, nodes: kept },
        parameters,
      } satisfies GraphModel,
      inputs: Object.fromEntries([...given.map(({ name }) => [name, inputs[name]] as const), ...tensors]),
      kernels: whole.kernels,
      shapes: Object.fromEntries(Object.entries(whole.shapes).filter(([name]) => symbols.has(name))),
    };
  };
  let [outputs, cut] = [model.graph.outputs, new Set<string>()];
  let nodes = model.graph.nodes;
  let smallest = whole;
  const attempt = async (next: RandomGraph) => {
    if (next.model.graph.nodes.length === 0 || !(await fails(next))) return false;
    smallest = next;
    return true;
  };
  for (const output of outputs) {
    if (outputs.length === 1) break;
    const left = outputs.filter((name) => name !== output);
    if (await attempt(rebuilt(nodes, left, cut))) outputs = left;
  }
  for (const node of nodes.toReversed()) {
    const next = new Set([...cut, ...node.outputs]);
    if (node.outputs.some((name) => outputs.includes(name))) continue;
    if (await attempt(rebuilt(nodes, outputs, next))) cut = next;
  }
  nodes = smallest.model.graph.nodes;
  return smallest;
}

/** A graph as a line a node. */
export function graphText({ model: { graph, parameters }, shapes, kernels }: RandomGraph): string {
  const dims = (name: string | null) => {
    const constant = name === null ? undefined : parameters.get(name);
    if (!constant) return name;
    const list = constant.dtype === 'int64' ? `=${[...constant.data]}` : '';
    return `${name}:${constant.dtype}[${constant.dims}]${list}`;
  };
  return [
    `${graph.name} opset ${graph.opset} ${JSON.stringify(shapes)} kernels ${kernels}`,
    ...graph.inputs.map(({ name, dtype, shape }) => `  ${name}: ${dtype}[${shape}]`),
    ...graph.nodes.map(({ op, inputs, outputs, attributes }) => {
      const given = JSON.stringify(attributes, (_, own) => (typeof own === 'bigint' ? Number(own) : own));
      return `  ${outputs} = ${op}(${inputs.map(dims)}) ${given}`;
    }),
    `  -> ${graph.outputs}`,
  ].join('\n');
}
