import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { checkConstants } from '../graph/concrete.ts';
import { float16ToFloat32 } from '../io/tensor.ts';
import { type ImageGraph, type ImageModel, inferShapes, isImageModel, type Model } from './graph.ts';

/** Refuses an object, or anything else, where a Map is taken. */
export function checkMap(value: unknown, what: string): asserts value is ReadonlyMap<string, unknown> {
  const map = value as Partial<Map<string, unknown>> | null | undefined;
  check(
    typeof map?.get === 'function' && typeof map.keys === 'function',
    `${what} must be a Map`,
    value,
    value !== null && typeof value === 'object'
      ? 'new Map(Object.entries(...)) makes one of a plain object'
      : undefined,
  );
}

/**
 * Checks a network's parameters against its graph, by name: layout, size, dtype. Those it lacks are found when they are
 * read, since not every node need be.
 *
 * @throws LloydError naming the parameter, the shape that the graph gives it and the one it has
 */
export function checkParameters(model: ImageModel): void {
  const { graph, parameters } = (model ?? {}) as ImageModel;
  check(
    graph !== null && typeof graph === 'object',
    'a model must be a graph with its parameters',
    model,
    'vgg, readModelFile, fromLayersModel and fromGraphModel make one',
  );
  check(typeof graph.name === 'string', 'a graph must have a name', graph.name);
  checkMap(parameters, `${graph.name}: parameters`);
  const shapes = parameterShapes(graph);
  for (const node of graph.nodes)
    if (node.op === 'conv2d') shapes.set(`${node.name}.bias`, [node.outChannels]);
  for (const [name, shape] of shapes) {
    const tensor = parameters.get(name) as Partial<Tensor> | undefined;
    if (tensor === undefined) continue;
    const dims: unknown = tensor?.dims;
    check(
      Array.isArray(dims) && dims.length === shape.length && shape.every((size, i) => size === dims[i]),
      `${graph.name}: ${name} must have the shape [${shape.join(', ')}]${LAYOUTS[shape.length] ?? ''}`,
      Array.isArray(dims) ? dims : 'no dims',
      'reorder it, or mend the graph',
    );
    const { dtype, data } = tensor;
    check(
      (dtype === 'float32' && data instanceof Float32Array) ||
        (dtype === 'float16' && data instanceof Uint16Array),
      `${graph.name}: ${name} must be float32 in a Float32Array, or float16 as its bits in a Uint16Array`,
      `${String(dtype)} in ${data?.constructor?.name}`,
      'convert it',
    );
    const count = shape.reduce((a, b) => a * b, 1);
    check(data.length === count, `${graph.name}: ${name} must hold ${count} values`, data.length);
  }
}

/**
 * Checks a network's parameters, by name: those of an image graph against it, constants of any other each by itself.
 *
 * @throws LloydError naming the parameter, what it should be and what it is
 */
export function checkModel(model: Model): void {
  const { graph } = (model ?? {}) as Partial<Model>;
  if (!graph || typeof graph !== 'object' || isImageModel(model)) {
    checkParameters(model as ImageModel);
    return;
  }
  checkMap(model.parameters, `${graph.name}: parameters`);
  checkConstants(model);
}

const LAYOUTS: Record<number, string> = {
  2: ': outputs x inputs, an image that it reads as channels x height x width',
  4: ': output channels x input channels of a group x height x width',
};

/** Name and shape of every parameter and statistic a graph reads, in the graph's order. */
export function parameterShapes(graph: ImageGraph): Map<string, number[]> {
  const shapes = inferShapes(graph);
  const result = new Map<string, number[]>();
  for (const node of graph.nodes) {
    const input = shapes.get(node.inputs[0])!;
    if (node.op === 'conv2d') {
      result.set(`${node.name}.weight`, [
        node.outChannels,
        input.channels / (node.groups ?? 1),
        ...node.kernel,
      ]);
    } else if (node.op === 'linear') {
      result.set(`${node.name}.weight`, [node.outFeatures, input.channels * input.height * input.width]);
      result.set(`${node.name}.bias`, [node.outFeatures]);
    } else if (node.op === 'batchNorm') {
      for (const field of ['weight', 'bias', 'running_mean', 'running_var']) {
        result.set(`${node.name}.${field}`, [input.channels]);
      }
    }
  }
  return result;
}

/** A parameter as float32, whatever it is stored as; `undefined` when the model has none of that name. */
export function parameter(model: ImageModel, name: string): Float32Array | undefined {
  const tensor = model.parameters.get(name);
  return tensor && asFloat32(tensor, name);
}

/** A parameter as float32; a missing one is an error. */
export function requiredParameter(model: ImageModel, name: string): Float32Array {
  const data = parameter(model, name);
  check(
    data,
    `${model.graph.name} needs the parameter ${name}`,
    'none of that name',
    'load a complete state dict',
  );
  return data;
}

function asFloat32(tensor: Tensor, name: string): Float32Array {
  if (tensor.dtype === 'float32') return tensor.data as Float32Array;
  check(tensor.dtype === 'float16', `${name} must be float32 or float16`, tensor.dtype);
  return float16ToFloat32(tensor.data as Uint16Array);
}
