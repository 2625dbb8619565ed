import { check, LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type ConcreteGraph, concreteGraph, originOf } from '../graph/concrete.ts';
import type { Node } from '../graph/graph.ts';
import { located } from '../graph/infer-node.ts';
import { simplify } from '../graph/passes/simplify.ts';
import { sinkTransposes } from '../graph/passes/transposes.ts';
import { type ConvFrame, convolutionLayer, productLayer } from '../lower/conv-layers.ts';
import { affineOf, boundsOf, floatData } from '../lower/patterns.ts';
import { poolLayer } from '../lower/pool-layers.ts';
import { type ImageModel, type ImageNode, isImageModel, type Model } from '../model/graph.ts';
import { imageOf } from '../model/images.ts';
import type { QuantizedModel } from '../model/quantized-model.ts';

/** A network as training takes it, and what its values are called there. */
export interface ImageForm {
  model: ImageModel;
  names: ReadonlyMap<string, string>;
}

const TRAINED =
  'Conv, Gemm and MatMul with constant weights, BatchNormalization, Relu, Clip from 0 to 6, pools over pixels, Add, sums ' +
  'and products with constants of a channel each, and a Softmax at the end, which is left out';

/**
 * A network as the layers that training has gradients for: images in, logits out.
 *
 * @throws LloydError naming every node that has no gradient, all at once; for several inputs or outputs
 */
export function imageForm(model: Model): ImageForm {
  if (isImageModel(model)) return { model, names: new Map() };
  const graph = simplify(sinkTransposes(simplify(concreteGraph(model, { batch: 1 }))));
  check(
    graph.inputs.length === 1 && graph.outputs.length === 1,
    'a network to be trained must have one input and one output',
    `${graph.inputs.length} and ${graph.outputs.length}`,
  );
  return new Form(graph).result();
}

/** A quantized network in that form, its activations by the names that they have there. */
export function quantizedImageForm(quantized: QuantizedModel): QuantizedModel<ImageModel> {
  const { model, names } = imageForm(quantized.model);
  const activations = new Map(
    [...quantized.activations].map(([name, grid]) => [names.get(name) ?? name, grid]),
  );
  return { ...quantized, model, activations };
}

class Form {
  private readonly nodes: ImageNode[] = [];
  private readonly parameters = new Map<string, Tensor>();
  /** What a value is called among the nodes. */
  private readonly names = new Map<string, string>();
  private readonly readers = new Map<string, number>();
  private readonly frame: ConvFrame;

  constructor(private readonly graph: ConcreteGraph) {
    for (const { inputs } of graph.nodes) {
      for (const name of inputs) if (name) this.readers.set(name, (this.readers.get(name) ?? 0) + 1);
    }
    const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
    // Whatever has pixels has its channels before them here.
    const axes = new Map([...graph.values.keys()].map((name) => [name, 1]));
    this.frame = { graph, values: new Map(graph.values), axes, root: (name) => name, makers };
  }

  result(): ImageForm {
    const { graph } = this;
    const [{ name, shape }] = graph.inputs;
    const turned = graph.nodes.some(({ op, inputs }) => op === 'Transpose' && inputs[0] === name);
    const { height, width, channels } = imageOf(shape, turned ? shape.length - 1 : 1);
    this.names.set(name, name);
    const refused: string[] = [];
    for (const node of graph.nodes) {
      const why = located(node, () => this.add(node));
      if (why) refused.push(`${node.name} (${node.op}): ${why}`);
    }
    check(
      refused.length === 0,
      `training takes ${TRAINED}`,
      refused.join('; '),
      'train the part before them',
    );
    const output = this.names.get(graph.outputs[0])!;
    const input = { name, height, width, channels };
    for (const [value, own] of [...this.names]) {
      const origin = originOf(graph.views, value);
      if (!this.names.has(origin)) this.names.set(origin, own);
    }
    return {
      model: { graph: { name: graph.name, input, nodes: this.nodes, output }, parameters: this.parameters },
      names: this.names,
    };
  }

  /** Adds a node; why it cannot be trained, or null. */
  private add(node: Node): string | null {
    const { values } = this.graph;
    const [output] = node.outputs;
    const varying = node.inputs.filter((name) => name !== null && !values.get(name)!.data) as string[];
    const inputs = varying.map((name) => this.names.get(name));
    // Something before it was refused already.
    if (inputs.some((name) => name === undefined)) return null;
    const read = inputs as string[];
    const put = (name: string, made: Omit<ImageNode, 'name' | 'inputs'>) => {
      this.nodes.push({ ...made, name, inputs: read } as ImageNode);
      this.names.set(output, name);
      return null;
    };
    const conv = convolutionLayer(this.frame, node);
    if (conv && !conv.affine) {
      const { kernel, strides, dilations, pads, groups, weight, shift } = conv;
      const outChannels = conv.outputShape.channels;
      this.set(`${node.name}.weight`, weight, [
        outChannels,
        weight.length / outChannels / kernel[0] / kernel[1],
        ...kernel,
      ]);
      this.set(`${node.name}.bias`, shift, [outChannels]);
      return put(node.name, { op: 'conv2d', kernel, strides, dilations, pads, groups, outChannels } as never);
    }
    const dense = productLayer(this.frame, node);
    if (dense && values.get(node.inputs[0]!)!.dims.length === 2) {
      const { weight, shift, scale } = dense;
      const outFeatures = scale.length;
      const scaled = scale.some((factor) => factor !== 1);
      if (scaled) return 'its alpha must be 1';
      this.set(`${node.name}.weight`, weight, [outFeatures, weight.length / outFeatures]);
      this.set(`${node.name}.bias`, shift, [outFeatures]);
      return put(node.name, { op: 'linear', outFeatures } as never);
    }
    const pool = poolLayer(this.frame, node);
    if (pool) {
      const { kind, kernel, strides, pads, dilations, includePad } = pool;
      if (dilations.some((n) => n !== 1) || includePad) return 'a pool has no dilation and counts no padding';
      return put(output, { op: kind, kernel, strides, pads } as never);
    }
    return this.addPlain(node, read, put);
  }

  private addPlain(
    node: Node,
    read: readonly string[],
    put: (name: string, made: Omit<ImageNode, 'name' | 'inputs'>) => null,
  ): string | null {
    const { graph } = this;
    const { values } = graph;
    const [output] = node.outputs;
    switch (node.op) {
      case 'BatchNormalization': {
        const fields = node.inputs.slice(1).map((name) => floatData(graph, name));
        if (fields.some((data) => !data)) return 'its parameters must be constants';
        for (const [i, field] of ['weight', 'bias', 'running_mean', 'running_var'].entries())
          this.set(`${output}.${field}`, fields[i]!, [fields[i]!.length]);
        return put(output, {
          op: 'batchNorm',
          epsilon: (node.attributes.epsilon as number) ?? 1e-5,
        } as never);
      }
      case 'Relu':
      case 'Clip': {
        const bounds = boundsOf(graph, node);
        if (bounds?.low !== 0 || (bounds.high !== Infinity && bounds.high !== 6))
          return 'its bounds must be 0, or 0 and 6';
        return put(output, { op: bounds.high === 6 ? 'relu6' : 'relu' } as never);
      }
      case 'Transpose':
      case 'Reshape':
      case 'Flatten':
      case 'Squeeze':
      case 'Unsqueeze':
      case 'Identity': {
        const [from, to] = [values.get(node.inputs[0]!)!.dims, values.get(output)!.dims];
        const flat = to.length === 2 && from.length === 4;
        if (node.op !== 'Transpose' && flat && from[2] * from[3] > 1)
          return put(output, { op: 'flatten' } as never);
        this.names.set(output, read[0]);
        return null;
      }
      case 'Softmax':
      case 'LogSoftmax':
        if (!graph.outputs.includes(output)) return 'it must come last';
        this.names.set(output, read[0]);
        return null;
    }
    if ((node.op === 'Add' || node.op === 'Sum') && read.length === node.inputs.length) {
      const { dims } = values.get(output)!;
      const alike = node.inputs.every((name) => `${values.get(name!)!.dims}` === `${dims}`);
      return alike ? put(output, { op: 'add' } as never) : 'its operands must have one shape';
    }
    if (node.op === 'Concat' && read.length === node.inputs.length)
      return put(output, { op: 'concat' } as never);
    return this.addAffine(node, read, put);
  }

  /** A sum with constants goes into the bias of what it follows; other factors and summands are a batch norm's. */
  private addAffine(
    node: Node,
    read: readonly string[],
    put: (name: string, made: Omit<ImageNode, 'name' | 'inputs'>) => null,
  ): string | null {
    const [output] = node.outputs;
    const affine = read.length === 1 ? affineOf(this.graph, node, 1) : null;
    if (!affine) return 'it has no gradient here';
    const before = this.nodes.find(({ name }) => name === read[0]);
    const bias = this.parameters.get(`${read[0]}.bias`);
    const sole = this.readers.get(node.inputs.find((name) => this.names.get(name ?? '') === read[0])!) === 1;
    const isProduct = before?.op === 'conv2d' || before?.op === 'linear';
    if (isProduct && bias && sole && affine.scale.every((factor) => factor === 1)) {
      const sums = Float32Array.from(bias.data as Float32Array, (value, c) => value + affine.shift[c]);
      this.set(`${read[0]}.bias`, sums, [sums.length]);
      this.names.set(output, read[0]);
      return null;
    }
    const { length } = affine.scale;
    this.set(`${output}.weight`, Float32Array.from(affine.scale), [length]);
    this.set(`${output}.bias`, Float32Array.from(affine.shift), [length]);
    this.set(`${output}.running_mean`, new Float32Array(length), [length]);
    this.set(`${output}.running_var`, new Float32Array(length).fill(1), [length]);
    return put(output, { op: 'batchNorm', epsilon: 0 } as never);
  }

  private set(name: string, data: Float32Array, dims: number[]): void {
    if (dims.some((size) => !Number.isInteger(size)))
      throw new LloydError(`${name} must have whole sizes`, dims);
    this.parameters.set(name, { dtype: 'float32', dims, data });
  }
}
