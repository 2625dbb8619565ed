import { check, LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type Graph, type GraphNode, type ImageShape, inferShapes, type Model } from '../model/graph.ts';

type TfjsTensor = import('@tensorflow/tfjs').Tensor;
export type Pair = readonly [number, number];
/** Top, left, bottom, right. */
export type Pads = readonly [number, number, number, number];

/** A convolution as TensorFlow has it: the filter is HWIO, or H x W x I x multiplier of a depthwise one. */
export interface TensorflowConv {
  filter: TfjsTensor;
  bias?: TfjsTensor;
  strides: Pair;
  dilations: Pair;
  /** `same`, `valid`, or what is padded on each side. */
  padding: string | Pads;
  depthwise: boolean;
}

/** TensorFlow's batch norm, along channels. */
export interface TensorflowNorm {
  gamma?: TfjsTensor;
  beta?: TfjsTensor;
  mean: TfjsTensor;
  variance: TfjsTensor;
  epsilon: number;
}

/** A graph under construction, from whatever names TensorFlow's layers and nodes have. */
export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  private readonly parameters = new Map<string, Tensor>();
  private readonly biased = new Set<string>();
  private readonly aliases = new Map<string, string>();
  /** Zero padding that the convolution after it takes over. */
  private readonly pads = new Map<string, Pads>();

  constructor(
    private readonly name: string,
    private readonly input: ImageShape,
  ) {
    const { height, width, channels } = input;
    check(
      [height, width, channels].every((n) => n > 0),
      'the input must be images of fixed size: [batch, height, width, channels]',
      `[${height}, ${width}, ${channels}]`,
    );
  }

  /** `name` computes what `source` does. */
  alias(name: string, source: string): void {
    this.aliases.set(name, source);
  }

  /** Our node that computes what `name` does. */
  source(name: string): string {
    const before = this.aliases.get(name);
    return before === undefined ? name : this.source(before);
  }

  /** What our node `source` leaves; a flattened image keeps its shape. */
  shapeOf(source: string): ImageShape {
    return inferShapes(this.graph(source)).get(source)!;
  }

  zeroPadding(name: string, source: string, pads: Pads): void {
    check(!this.pads.has(source), `${name}: padding must not be padded again`, source);
    this.pads.set(name, pads);
    this.alias(name, source);
  }

  /** Only a convolution may read padding; `from` is what the reader calls its input. */
  checkPadding(reader: string, from: string, convolution: boolean): void {
    check(
      convolution || !this.pads.has(from),
      `${from}: zero padding must come before a convolution`,
      reader,
    );
  }

  add(node: GraphNode): void {
    this.nodes.push(node);
  }

  /**
   * Along channels; flattened images would have to follow one another pixel by pixel, which no graph of images says.
   */
  concat(name: string, sources: string[]): void {
    for (const source of sources) {
      const { height, width } = this.shapeOf(source);
      check(
        height * width === 1 || !this.isFlat(source),
        `${name}: images must be concatenated before they are flattened`,
        `${source}, flattened from ${height} x ${width}`,
        'concatenate along channels, then flatten',
      );
    }
    this.add({ op: 'concat', name, inputs: sources });
  }

  /** Whether what `source` leaves came by way of a flatten. */
  private isFlat(source: string): boolean {
    const node = this.nodes.find(({ name }) => name === source);
    if (!node || node.op === 'flatten') return node !== undefined;
    return ['relu', 'relu6', 'batchNorm', 'identity', 'add'].includes(node.op) && this.isFlat(node.inputs[0]);
  }

  async convolution(name: string, from: string, source: string, conv: TensorflowConv): Promise<void> {
    const { filter, bias, strides, dilations, depthwise } = conv;
    const [height, width, inner, outer] = filter.shape;
    const own = padsOf(this.shapeOf(source), [height, width], strides, dilations, conv.padding, name);
    const before = this.pads.get(from);
    check(!before || own.every((p) => p === 0), `${name}: it must not pad twice`, `${before} and ${own}`);
    const outChannels = depthwise ? inner * outer : outer;
    const perGroup = depthwise ? 1 : inner;
    const hwio = (await filter.data()) as Float32Array;
    const weight = new Float32Array(hwio.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let i = 0; i < inner; i++) {
          for (let o = 0; o < outer; o++) {
            const [row, column] = depthwise ? [i * outer + o, 0] : [o, i];
            weight[((row * perGroup + column) * height + y) * width + x] =
              hwio[((y * width + x) * inner + i) * outer + o];
          }
        }
      }
    }
    this.set(`${name}.weight`, weight, [outChannels, perGroup, height, width]);
    if (bias) await this.bias(name, bias);
    this.add({
      op: 'conv2d',
      name,
      inputs: [source],
      kernel: [height, width],
      outChannels,
      strides,
      dilations,
      pads: before ?? own,
      groups: depthwise ? inner : 1,
    });
  }

  /** `kernel` is inputs x units; inputs that were an image are reordered from H x W x C to C x H x W. */
  async dense(name: string, source: string, kernel: TfjsTensor, bias?: TfjsTensor): Promise<void> {
    const [inputs, units] = kernel.shape;
    const { height, width, channels } = this.shapeOf(source);
    const area = height * width;
    check(area * channels === inputs, `${name}: its kernel must have a row an input`, `${inputs} rows`);
    const rows = (await kernel.data()) as Float32Array;
    const weight = new Float32Array(rows.length);
    for (let o = 0; o < units; o++) {
      for (let p = 0; p < area; p++) {
        for (let c = 0; c < channels; c++) {
          weight[(o * channels + c) * area + p] = rows[(p * channels + c) * units + o];
        }
      }
    }
    this.set(`${name}.weight`, weight, [units, area * channels]);
    if (bias) await this.bias(name, bias);
    else this.set(`${name}.bias`, new Float32Array(units), [units]);
    this.add({ op: 'linear', name, inputs: [source], outFeatures: units });
  }

  hasBias(node: string): boolean {
    return this.biased.has(node);
  }

  async bias(node: string, bias: TfjsTensor): Promise<void> {
    this.biased.add(node);
    this.set(`${node}.bias`, (await bias.data()) as Float32Array, [bias.size]);
  }

  async batchNorm(name: string, source: string, norm: TensorflowNorm): Promise<void> {
    const { channels } = this.shapeOf(source);
    const valuesOf = async (tensor: TfjsTensor | undefined, missing: number) =>
      tensor ? ((await tensor.data()) as Float32Array) : new Float32Array(channels).fill(missing);
    this.set(`${name}.weight`, await valuesOf(norm.gamma, 1), [channels]);
    this.set(`${name}.bias`, await valuesOf(norm.beta, 0), [channels]);
    this.set(`${name}.running_mean`, await valuesOf(norm.mean, 0), [channels]);
    this.set(`${name}.running_var`, await valuesOf(norm.variance, 1), [channels]);
    this.add({ op: 'batchNorm', name, inputs: [source], epsilon: norm.epsilon });
  }

  pool(
    op: 'maxPool' | 'averagePool',
    name: string,
    source: string,
    { kernel, strides, padding }: { kernel: Pair; strides: Pair; padding: string },
  ): void {
    const pads = padsOf(this.shapeOf(source), kernel, strides, [1, 1], padding, name);
    this.add({ op, name, inputs: [source], kernel, strides, pads });
  }

  /** An activation that a layer carries: a node after it, to which the layer's name then leads. */
  activation(name: string, activation: string | undefined): void {
    if (!activation || activation === 'linear' || activation === 'softmax') return;
    if (activation !== 'relu' && activation !== 'relu6') {
      throw new LloydError(
        `${name}: an activation must be relu, relu6, linear or a final softmax`,
        activation,
        'replace it',
      );
    }
    const node = `${name}.${activation}`;
    this.add({ op: activation, name: node, inputs: [this.source(name)] });
    this.alias(name, node);
  }

  model(output: string): Model {
    const graph = this.graph(this.source(output));
    inferShapes(graph);
    return { graph, parameters: this.parameters };
  }

  private graph(output: string): Graph {
    return { name: this.name, input: { ...this.input, name: 'input' }, nodes: this.nodes, output };
  }

  private set(name: string, data: Float32Array, dims: number[]): void {
    this.parameters.set(name, { dtype: 'float32', dims, data });
  }
}

/** TensorFlow's padding: `same` puts the odd pixel after. */
function padsOf(
  { height, width }: ImageShape,
  kernel: Pair,
  strides: Pair,
  dilations: Pair,
  padding: string | Pads,
  name: string,
): Pads {
  if (typeof padding !== 'string') return padding;
  if (padding === 'valid') return [0, 0, 0, 0];
  check(padding === 'same', `${name}: padding must be 'same' or 'valid'`, padding);
  const [[top, bottom], [left, right]] = [height, width].map((size, axis) => {
    const span = (kernel[axis] - 1) * dilations[axis] + 1;
    const total = Math.max((Math.ceil(size / strides[axis]) - 1) * strides[axis] + span - size, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  return [top, left, bottom, right];
}
