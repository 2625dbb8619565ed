import { check, LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type ImageModel, type ImageNode, type ImageShape, inferShapes, nodeShape } from '../model/graph.ts';
import {
  denseWeights,
  type FlatAffine,
  filterWeights,
  type Pads,
  type Pair,
  padsOf,
  selection,
  type TensorflowConv,
  type TensorflowNorm,
  type TfjsTensor,
  valuesOf,
} from './tensorflow.ts';

/** What a TensorFlow tensor is here: the node that computes it, and what is left for its reader to take over. */
export interface Value {
  node: string;
  /** 4: images. 2: rows of features; of an image they follow one another pixel by pixel. */
  rank: 2 | 4;
  /** Zeros round it, by the layer of this name. */
  padding?: { name: string; sides: Pads };
  /** A softmax, which only the network's output may end in. */
  softmax?: string;
  /** A factor and a summand for every feature of a flattened image. */
  affine?: FlatAffine & { name: string };
  /** An upper bound of 6 that waits for the lower one of 0. */
  capped?: string;
}

const NO_PADS: Pads = [0, 0, 0, 0];
type Added<N = ImageNode> = N extends ImageNode ? Omit<N, 'name'> : never;

/** A graph under construction, from whatever names TensorFlow's layers and nodes have. */
export class GraphBuilder {
  readonly nodes: ImageNode[] = [];
  readonly input: Value;
  private readonly parameters = new Map<string, Tensor>();
  private readonly shapes = new Map<string, ImageShape>();
  /** Nodes that put out nothing below zero. */
  private readonly positive = new Set<string>();

  /**
   * @param shape of the input without its batch: an image's, or a row's
   * @param taken names that layers or nodes will have, so that the input's is none of them
   */
  constructor(
    private readonly name: string,
    shape: readonly (number | null)[],
    taken: ReadonlySet<string>,
  ) {
    check(
      (shape.length === 3 || shape.length === 1) && shape.every((n) => n !== null && n > 0),
      'the input must be images of fixed size, [batch, height, width, channels], or rows, [batch, features]',
      `[batch, ${shape.join(', ')}]`,
    );
    const [height, width, channels] = (shape.length === 1 ? [1, 1, ...shape] : shape) as number[];
    let node = 'input';
    while (taken.has(node)) node += '#';
    this.shapes.set(node, { height, width, channels });
    this.input = { node, rank: shape.length === 1 ? 2 : 4 };
  }

  shapeOf({ node }: Value): ImageShape {
    return this.shapes.get(node)!;
  }

  /** Whether a value is an image's pixels in a row. */
  isFlat(value: Value): boolean {
    const { height, width } = this.shapeOf(value);
    return value.rank === 2 && height * width > 1;
  }

  /** The node whose output `reader` may read as it is: padding is done; what cannot be done is refused. */
  plain(reader: string, value: Value): string {
    const { softmax, affine, capped, padding } = value;
    check(
      softmax === undefined,
      `${reader}: a softmax may only be the last of a network, where its logits are the output`,
      softmax,
      'cut the network before it',
    );
    check(
      !affine,
      `${reader}: of a flattened image only a dense layer takes a norm or constants for each pixel and channel`,
      affine?.name,
      'normalize before flattening',
    );
    check(capped === undefined, `${reader}: a minimum of 6 must be followed by a maximum of 0`, capped);
    return padding ? this.padded(padding.name, value, padding.sides, [0, 0]).node : value.node;
  }

  /** As {@link plain}, of images. */
  private image(reader: string, value: Value): string {
    const { height, width, channels } = this.shapeOf(value);
    check(
      value.rank === 4,
      `${reader}: it takes images`,
      `rows of ${height * width * channels} features`,
      'leave out what flattens them',
    );
    return this.plain(reader, value);
  }

  zeroPadding(name: string, value: Value, sides: Pads, channels: Pair = [0, 0]): Value {
    const before = value.padding?.sides ?? NO_PADS;
    const padding = { name, sides: before.map((n, i) => n + sides[i]) as unknown as Pads };
    this.image(name, { ...value, padding: undefined });
    if (channels.every((n) => n === 0)) return { ...value, padding };
    return this.padded(name, value, padding.sides, channels);
  }

  /** Padding that no convolution takes over is a convolution of its own, whose weights pick channels. */
  private padded(name: string, value: Value, pads: Pads, [before, after]: Pair): Value {
    const { channels } = this.shapeOf(value);
    const outChannels = before + channels + after;
    const groups = outChannels === channels ? channels : 1;
    const own = this.unique(name);
    this.set(`${own}.weight`, selection(channels, before, after), [outChannels, channels / groups, 1, 1]);
    return this.add(
      own,
      { op: 'conv2d', inputs: [value.node], kernel: [1, 1], outChannels, pads, groups },
      4,
    );
  }

  /** A sum or a concatenation along channels. */
  join(op: 'add' | 'concat', name: string, values: readonly Value[]): Value {
    const inputs = values.map((value) => this.plain(name, value));
    const [{ rank }] = values;
    check(
      values.every((value) => value.rank === rank),
      `${name}: what is joined must have one rank`,
      values.map((value) => value.rank),
    );
    for (const value of values) {
      // Flattened images would have to follow one another pixel by pixel, which no graph of images says.
      check(
        op === 'add' || !this.isFlat(value),
        `${name}: images must be concatenated before they are flattened`,
        `${value.node}, flattened from ${this.shapeOf(value).height} x ${this.shapeOf(value).width}`,
        'concatenate along channels, then flatten',
      );
    }
    return this.add(name, { op, inputs }, rank);
  }

  async convolution(name: string, value: Value, conv: TensorflowConv): Promise<Value> {
    const { filter, bias, strides, dilations, depthwise } = conv;
    // It takes zeros round its input over, beside those of its own.
    const before = value.padding?.sides ?? NO_PADS;
    const source = this.image(name, { ...value, padding: undefined });
    const { height, width, channels } = this.shapeOf(value);
    const [kernelHeight, kernelWidth, inner, outer] = filter.shape;
    check(
      filter.rank === 4 && inner === channels,
      `${name}: its filter must have height, width and the input's ${channels} channels`,
      `[${filter.shape}]`,
    );
    const kernel: Pair = [kernelHeight, kernelWidth];
    const size: Pair = [height + before[0] + before[2], width + before[1] + before[3]];
    const own = padsOf(size, kernel, strides, dilations, conv.padding, name);
    const outChannels = depthwise ? inner * outer : outer;
    const node = this.unique(name);
    const weight = filterWeights((await filter.data()) as Float32Array, filter.shape, depthwise);
    this.set(`${node}.weight`, weight, [outChannels, depthwise ? 1 : inner, ...kernel]);
    if (bias) this.set(`${node}.bias`, await valuesOf(bias), [bias.size]);
    const pads = before.map((n, i) => n + own[i]) as unknown as Pads;
    const groups = depthwise ? inner : 1;
    return this.add(
      node,
      { op: 'conv2d', inputs: [source], kernel, outChannels, strides, dilations, pads, groups },
      4,
    );
  }

  /** `kernel` is inputs x units; inputs that were an image are reordered from H x W x C to C x H x W. */
  async dense(name: string, value: Value, kernel: TfjsTensor, bias?: TfjsTensor): Promise<Value> {
    const { affine, ...rest } = value;
    const source = this.plain(name, rest);
    check(value.rank === 2, `${name}: it must follow what flattens or averages images`, 'images');
    const { height, width, channels } = this.shapeOf(value);
    const inputs = height * width * channels;
    const [rows, units] = kernel.shape;
    check(rows === inputs, `${name}: its kernel must have ${inputs} rows, one an input`, `${rows} rows`);
    const offsets = bias ? await valuesOf(bias) : new Float32Array(units);
    const shape = { area: height * width, channels, units };
    const folded = denseWeights(await valuesOf(kernel), offsets, shape, affine);
    const node = this.unique(name);
    this.set(`${node}.weight`, folded.weight, [units, inputs]);
    this.set(`${node}.bias`, folded.bias, [units]);
    return this.add(node, { op: 'linear', inputs: [source], outFeatures: units }, 2);
  }

  /** Multiplies a factor and adds a summand an output channel into a convolution or dense layer. */
  scaleOutputs(node: string, { scale, shift }: FlatAffine): void {
    const [weight, bias] = ['weight', 'bias'].map((field) => this.parameters.get(`${node}.${field}`));
    const row = weight!.data.length / scale.length;
    const scaled = Float32Array.from(weight!.data, (w, i) => w * scale[Math.floor(i / row)]);
    this.set(`${node}.weight`, scaled, [...weight!.dims]);
    const moved = Float32Array.from(shift, (summand, c) => (bias?.data[c] ?? 0) * scale[c] + summand);
    this.set(`${node}.bias`, moved, [shift.length]);
  }

  async batchNorm(name: string, value: Value, norm: TensorflowNorm): Promise<Value> {
    const { gamma, beta, mean, variance, epsilon } = norm;
    const features = this.features(value);
    const read = async (tensor: TfjsTensor | undefined, missing: number) => {
      if (!tensor) return new Float32Array(features).fill(missing);
      check(
        tensor.size === features,
        `${name}: batch norm must have ${features} values`,
        `[${tensor.shape}]`,
      );
      return valuesOf(tensor);
    };
    const [g, b, m, v] = [
      await read(gamma, 1),
      await read(beta, 0),
      await read(mean, 0),
      await read(variance, 1),
    ];
    if (this.isFlat(value)) {
      const scale = Float64Array.from(g, (factor, i) => factor / Math.sqrt(v[i] + epsilon));
      return this.affine(name, value, {
        scale,
        shift: Float64Array.from(b, (own, i) => own - m[i] * scale[i]),
      });
    }
    const source = this.plain(name, value);
    const node = this.unique(name);
    for (const [field, data] of Object.entries({ weight: g, bias: b, running_mean: m, running_var: v })) {
      this.set(`${node}.${field}`, data, [features]);
    }
    return this.add(node, { op: 'batchNorm', inputs: [source], epsilon }, value.rank);
  }

  /** value * scale + shift, each a value a feature: a batch norm of statistics 0 and 1. */
  affine(name: string, value: Value, { scale, shift }: FlatAffine): Value {
    if (this.isFlat(value)) {
      const { affine: before, ...rest } = value;
      this.plain(name, rest);
      if (!before) return { ...value, affine: { name, scale, shift } };
      const folded = {
        name,
        scale: scale.map((factor, i) => factor * before.scale[i]),
        shift: shift.map((summand, i) => scale[i] * before.shift[i] + summand),
      };
      return { ...value, affine: folded };
    }
    const source = this.plain(name, value);
    const node = this.unique(name);
    const count = scale.length;
    this.set(`${node}.weight`, Float32Array.from(scale), [count]);
    this.set(`${node}.bias`, Float32Array.from(shift), [count]);
    this.set(`${node}.running_mean`, new Float32Array(count), [count]);
    this.set(`${node}.running_var`, new Float32Array(count).fill(1), [count]);
    return this.add(node, { op: 'batchNorm', inputs: [source], epsilon: 0 }, value.rank);
  }

  /** Features of a value: an image's channels, or what a row holds. */
  features(value: Value): number {
    const { height, width, channels } = this.shapeOf(value);
    return value.rank === 2 ? height * width * channels : channels;
  }

  pool(
    op: 'maxPool' | 'averagePool',
    name: string,
    value: Value,
    { kernel, strides, padding }: { kernel: Pair; strides: Pair; padding: string | Pads },
  ): Value {
    check(
      op === 'maxPool' || typeof padding === 'string',
      `${name}: an average pool pads 'same' or 'valid'`,
      padding,
    );
    // A maximum leaves padding out, which is the same as zeros where nothing is below zero.
    const sides = value.padding?.sides ?? NO_PADS;
    const over =
      op === 'maxPool' &&
      padding === 'valid' &&
      this.positive.has(value.node) &&
      sides.every((n, i) => n < kernel[i % 2]);
    const source = this.image(name, over ? { ...value, padding: undefined } : value);
    const { height, width } = this.shapes.get(source)!;
    const pads = over ? sides : padsOf([height, width], kernel, strides, [1, 1], padding, name);
    return this.add(name, { op, inputs: [source], kernel, strides, pads }, 4);
  }

  /** Over all pixels. */
  globalPool(op: 'maxPool' | 'averagePool', name: string, value: Value, rank: 2 | 4): Value {
    const inputs = [this.image(name, value)];
    if (op === 'averagePool') return this.add(name, { op: 'globalAveragePool', inputs }, rank);
    const { height, width } = this.shapes.get(inputs[0])!;
    return this.add(name, { op, inputs, kernel: [height, width], strides: [height, width] }, rank);
  }

  /** To rows, or one pixel of features to an image and back; `target` leaves the batch out, -1 is what is left. */
  reshape(name: string, value: Value, target: readonly number[]): Value {
    const { softmax, affine, ...rest } = value;
    const source = this.plain(name, rest);
    const { height, width, channels } = this.shapes.get(source)!;
    const count = height * width * channels;
    const known = target.filter((n) => n >= 0).reduce((a, b) => a * b, 1);
    const dims = target.map((n) => (n < 0 ? count / known : n));
    const same = value.rank === 4 || height * width === 1;
    check(
      dims.reduce((a, b) => a * b, 1) === count &&
        (dims.length === 1 || (same && `${dims}` === `${[height, width, channels]}`)),
      `${name}: a reshape may only put an image's values in a row, or a row into one pixel`,
      `[${target}] of ${height} x ${width} x ${channels}`,
    );
    const rank = dims.length === 1 ? 2 : 4;
    const kept = { softmax, affine };
    if (rank === value.rank || height * width === 1) return { node: source, rank, ...kept };
    return { ...this.add(name, { op: 'flatten', inputs: [source] }, 2), ...kept };
  }

  /** An activation of that name in TensorFlow: of a layer, after which `node` is called, or by itself. */
  activation(
    name: string,
    value: Value,
    activation: string | null | undefined,
    node = `${name}.${activation}`,
  ): Value {
    if (!activation || activation === 'linear') return value;
    if (activation === 'softmax') {
      return { ...value, node: this.plain(name, value), padding: undefined, softmax: name };
    }
    if (activation !== 'relu' && activation !== 'relu6') {
      throw new LloydError(
        `${name}: an activation must be relu, relu6, linear or a final softmax`,
        activation,
        'replace it',
      );
    }
    const inputs = [this.plain(name, value)];
    return this.add(node, { op: activation, inputs }, value.rank);
  }

  /** max(value, 0) or min(value, 6) by themselves. */
  clamp(name: string, value: Value, side: 'low' | 'high'): Value {
    if (side === 'low' && value.capped !== undefined) {
      return this.activation(name, { ...value, capped: undefined }, 'relu6', name);
    }
    if (this.positive.has(value.node))
      return side === 'low' ? value : this.activation(name, value, 'relu6', name);
    if (side === 'low') return this.activation(name, value, 'relu', name);
    return { ...value, node: this.plain(name, value), padding: undefined, capped: name };
  }

  model(output: Value): ImageModel {
    // A final softmax is left out: the output are the logits.
    const node = this.plain('the output', { ...output, softmax: undefined });
    const graph = {
      name: this.name,
      input: { ...this.shapeOf(this.input), name: this.input.node },
      nodes: this.nodes,
      output: node,
    };
    check(
      node !== this.input.node && this.nodes.some(({ op }) => op !== 'flatten'),
      `${this.name}: a network must compute something`,
      'its input as output',
    );
    inferShapes(graph);
    return { graph, parameters: this.parameters };
  }

  private add(name: string, node: Added, rank: 2 | 4): Value {
    const own = { ...node, name: this.unique(name) } as ImageNode;
    this.shapes.set(
      own.name,
      nodeShape(
        own,
        own.inputs.map((input) => this.shapes.get(input)!),
      ),
    );
    this.nodes.push(own);
    const passes = !['conv2d', 'linear', 'batchNorm'].includes(own.op);
    if (own.op === 'relu' || own.op === 'relu6') this.positive.add(own.name);
    else if (passes && own.inputs.every((input) => this.positive.has(input))) this.positive.add(own.name);
    return { node: own.name, rank };
  }

  /** A name that no node has yet: a layer may be used more than once. */
  private unique(name: string): string {
    let own = name;
    for (let use = 2; this.shapes.has(own); use++) own = `${name}#${use}`;
    return own;
  }

  private set(name: string, data: Float32Array, dims: number[]): void {
    this.parameters.set(name, { dtype: 'float32', dims, data });
  }
}
