import type { GraphModel } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import { type ImageModel, type ImageNode, inferShapes, isImageModel, type Model } from './graph.ts';
import { checkParameters, parameter, requiredParameter } from './parameters.ts';

const OPSET = 20;
const NCHW = [0, 3, 1, 2];
const NHWC = [0, 2, 3, 1];

/**
 * A model in ONNX's operators; what is that already is given back. An image graph becomes N x H x W x C to and from its
 * nodes' N x C x H x W; values are called as the nodes are that make them.
 *
 * @throws LloydError for an image graph that doesn't hold together, or a parameter that is missing or of another shape
 */
export function toGraphModel(model: Model): GraphModel {
  if (!isImageModel(model)) return model;
  checkParameters(model);
  const { graph } = model;
  const shapes = inferShapes(graph);
  const { input } = graph;
  const writer = new GraphWriter(graph.name, OPSET);
  const pixels = writer.input({
    name: input.name,
    dtype: 'float32',
    shape: ['batch', input.height, input.width, input.channels],
  });
  const names = new Map([
    [input.name, writer.node('Transpose', `${input.name}/nchw`, [pixels], { perm: NCHW })],
  ]);
  const needed = new Set([graph.output]);
  for (const { name, inputs } of graph.nodes.toReversed()) {
    if (needed.has(name)) for (const from of inputs) needed.add(from);
  }
  const rows = new Set<string>();
  for (const node of graph.nodes) {
    // What the output doesn't depend on may lack its parameters.
    if (!needed.has(node.name)) continue;
    const inputs = node.inputs.map((name) => names.get(name)!);
    names.set(node.name, translate({ writer, rows, model }, node, inputs));
  }
  const last = names.get(graph.output)!;
  const output = shapes.get(graph.output)!;
  if (output.height * output.width === 1) return writer.model([last]);
  return writer.model([writer.node('Transpose', `${last}/nhwc`, [last], { perm: NHWC })]);
}

interface Translation {
  writer: GraphWriter;
  model: ImageModel;
  /** Values that are a matrix product's rows, and not images. */
  rows: Set<string>;
}

function translate({ writer, model, rows }: Translation, node: ImageNode, inputs: string[]): string {
  const { name } = node;
  const own = (field: string) => {
    const data = requiredParameter(model, `${name}.${field}`);
    const { dims } = model.parameters.get(`${name}.${field}`)!;
    return writer.constant(`${name}.${field}`, { dtype: 'float32', dims, data });
  };
  const bias = () => (parameter(model, `${name}.bias`) ? [own('bias')] : []);
  const image = (value: string): string => {
    if (!rows.has(value)) return value;
    const axes = writer.integers(`${name}/axes`, [2, 3]);
    return writer.node('Unsqueeze', `${value}/image`, [value, axes]);
  };
  /** Rows become images of one pixel beside others. */
  const alike = inputs.every((value) => rows.has(value)) ? inputs : inputs.map(image);
  const keep = (made: string) => {
    if (alike.every((value) => rows.has(value))) rows.add(made);
    return made;
  };
  switch (node.op) {
    case 'conv2d':
      return writer.node('Conv', name, [image(inputs[0]), own('weight'), ...bias()], {
        kernel_shape: node.kernel,
        strides: node.strides ?? [1, 1],
        dilations: node.dilations ?? [1, 1],
        pads: node.pads ?? [0, 0, 0, 0],
        group: node.groups ?? 1,
      });
    case 'linear': {
      // A row is C x H x W of the image that it reads.
      const flat = rows.has(inputs[0])
        ? inputs[0]
        : writer.node('Flatten', `${name}/rows`, inputs, { axis: 1 });
      const made = writer.node('Gemm', name, [flat, own('weight'), ...bias()], { transB: 1 });
      rows.add(made);
      return made;
    }
    case 'batchNorm': {
      const fields = ['weight', 'bias', 'running_mean', 'running_var'].map(own);
      const epsilon = node.epsilon ?? 1e-5;
      return keep(writer.node('BatchNormalization', name, [inputs[0], ...fields], { epsilon }));
    }
    case 'relu':
      return keep(writer.node('Relu', name, inputs));
    case 'relu6': {
      const bounds = [writer.scalar(`${name}/low`, 0), writer.scalar(`${name}/high`, 6)];
      return keep(writer.node('Clip', name, [inputs[0], ...bounds]));
    }
    case 'add':
      return keep(writer.node(alike.length === 2 ? 'Add' : 'Sum', name, alike));
    case 'concat':
      return keep(writer.node('Concat', name, alike, { axis: 1 }));
    case 'maxPool':
    case 'averagePool':
      return writer.node(node.op === 'maxPool' ? 'MaxPool' : 'AveragePool', name, inputs.map(image), {
        kernel_shape: node.kernel,
        strides: node.strides,
        pads: node.pads ?? [0, 0, 0, 0],
      });
    case 'globalAveragePool':
      return writer.node('GlobalAveragePool', name, inputs.map(image));
    default:
      // Flattening is the linear layer's business: what else reads a flattened image treats all its values alike.
      return inputs[0];
  }
}
