import { check, LloydError } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { type GraphNode, inferShapes, type Model } from '../model/graph.ts';

type LayersModel = import('@tensorflow/tfjs').LayersModel;
type Layer = LayersModel['layers'][number];
type Config = Record<string, unknown>;
type Pads = [number, number, number, number];

const SUPPORTED =
  'Activation, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, DepthwiseConv2D, Dropout, ' +
  'Flatten, GlobalAveragePooling2D, InputLayer, MaxPooling2D, ReLU, Softmax, ZeroPadding2D';

/**
 * A tfjs convolutional network as our graph with its parameters, ready for `quantizeModel` and `compile`.
 *
 * Weights are reordered from HWIO to OIHW, a dense layer's rows from H x W x C to C x H x W. Dropout is left out, and
 * so is a softmax at the end: the output are the logits, whose largest is the same class.
 *
 * @param model one image input of fixed size (NHWC, float32), one output of shape [batch, classes]
 * @throws LloydError naming a layer that has no counterpart, and its class
 * @example
 * const model = await fromLayersModel(await tf.loadLayersModel('https://example.org/model.json'));
 * const quantized = await quantizeModel(runtime, model, { method: 'kmeans', bits: 4 });
 */
export async function fromLayersModel(model: LayersModel): Promise<Model> {
  check(
    model.inputs.length === 1 && model.outputs.length === 1,
    'a network must have one input and one output',
    `${model.inputs.length} and ${model.outputs.length}`,
  );
  const [, height, width, channels] = model.inputs[0].shape as number[];
  check(
    model.inputs[0].shape.length === 4 && height > 0 && width > 0 && channels > 0,
    'the input must be images of fixed size: [batch, height, width, channels]',
    model.inputs[0].shape,
  );
  const builder = new GraphBuilder();
  const input = { name: 'input', height, width, channels };
  for (const layer of model.layers) {
    if (layer.getClassName() === 'InputLayer') builder.alias(layer.name, 'input');
    else await builder.add(layer, layer.name, sourcesOf(layer));
  }
  // A Sequential keeps its input layer apart from `layers`.
  const graph = {
    name: model.name,
    input,
    nodes: builder.nodes,
    output: builder.source(producerOf(model)),
  };
  inferShapes(graph);
  return { graph, parameters: builder.parameters };
}

function producerOf(model: LayersModel): string {
  return (model.outputs[0] as unknown as { sourceLayer: Layer }).sourceLayer.name;
}

function sourcesOf(layer: Layer): { name: string; shape: (number | null)[]; isInput: boolean }[] {
  const nodes = (layer as unknown as { inboundNodes: { inboundLayers: Layer[] }[] }).inboundNodes;
  check(nodes.length === 1, `${layer.name}: a layer may be used once`, `${nodes.length} times`);
  const inputs = [layer.input].flat();
  return nodes[0].inboundLayers.map((source, i) => ({
    name: source.name,
    shape: inputs[i].shape,
    isInput: source.getClassName() === 'InputLayer',
  }));
}

class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly parameters = new Map<string, Tensor>();
  private readonly aliases = new Map<string, string>();
  private readonly pads = new Map<string, Pads>();
  /** Image shapes that a Flatten took, by its name: a dense layer after it is reordered by them. */
  private readonly flattened = new Map<string, number[]>();

  alias(name: string, source: string): void {
    this.aliases.set(name, source);
  }

  source(name: string): string {
    const before = this.aliases.get(name);
    return before === undefined ? name : this.source(before);
  }

  async add(layer: Layer, name: string, from: ReturnType<typeof sourcesOf>): Promise<void> {
    const kind = layer.getClassName();
    const config = layer.getConfig() as Config;
    const inputs = from.map((source) => (source.isInput ? 'input' : this.source(source.name)));
    const [shape] = from.map((source) => source.shape as number[]);
    const pads = this.pads.get(from[0].name);
    check(
      !pads || /Conv2D$/.test(kind),
      `${from[0].name}: zero padding must come before a convolution`,
      `${name} (${kind})`,
    );
    check(
      config.dataFormat === undefined || config.dataFormat === 'channelsLast',
      `${name}: data must be channels last`,
      config.dataFormat as string,
    );
    switch (kind) {
      case 'Conv2D':
      case 'DepthwiseConv2D':
        await this.convolution(layer, name, inputs, config, shape, kind === 'DepthwiseConv2D', pads);
        this.activation(name, config.activation as string);
        break;
      case 'Dense':
        await this.dense(layer, name, inputs, config, shape, from[0].name);
        this.activation(name, config.activation as string);
        break;
      case 'BatchNormalization':
        await this.batchNorm(layer, name, inputs, config, shape);
        break;
      case 'Activation':
        this.alias(name, inputs[0]);
        this.activation(name, config.activation as string);
        break;
      case 'ReLU': {
        const limit = config.maxValue as number | null | undefined;
        const open = limit === null || limit === undefined;
        check(open || limit === 6, `${name}: ReLU's maximum must be none or 6`, limit);
        check(
          !config.negativeSlope && !config.threshold,
          `${name}: ReLU must be plain`,
          'a slope or threshold',
        );
        this.nodes.push({ op: open ? 'relu' : 'relu6', name, inputs });
        break;
      }
      case 'MaxPooling2D':
      case 'AveragePooling2D': {
        const kernel = config.poolSize as [number, number];
        const strides = (config.strides ?? kernel) as [number, number];
        const same = samePads(shape, kernel, strides, [1, 1], config.padding as string, name);
        const op = kind === 'MaxPooling2D' ? ('maxPool' as const) : ('averagePool' as const);
        this.nodes.push({ op, name, inputs, kernel, strides, pads: same });
        break;
      }
      case 'GlobalAveragePooling2D':
        this.nodes.push({ op: 'globalAveragePool', name, inputs });
        this.flattened.set(name, [1, 1, shape[3]]);
        break;
      case 'Add':
        this.nodes.push({ op: 'add', name, inputs });
        break;
      case 'Concatenate':
        check(
          config.axis === -1 || config.axis === 3,
          `${name}: images are concatenated along their channels`,
          `axis ${config.axis}`,
        );
        this.nodes.push({ op: 'concat', name, inputs });
        break;
      case 'Flatten':
        this.flattened.set(name, shape.slice(1));
        this.nodes.push({ op: 'flatten', name, inputs });
        break;
      case 'Dropout':
      case 'Softmax':
        this.alias(name, inputs[0]);
        if (this.flattened.has(from[0].name)) this.flattened.set(name, this.flattened.get(from[0].name)!);
        break;
      case 'ZeroPadding2D': {
        const [[top, bottom], [left, right]] = config.padding as number[][];
        this.pads.set(name, [top, left, bottom, right]);
        this.alias(name, inputs[0]);
        break;
      }
      default:
        throw new LloydError(
          `${name}: a layer must be one of ${SUPPORTED}`,
          kind,
          'replace it, or build the graph by hand',
        );
    }
  }

  private async convolution(
    layer: Layer,
    name: string,
    inputs: string[],
    config: Config,
    shape: number[],
    depthwise: boolean,
    before: Pads | undefined,
  ) {
    const [kernelTensor, bias] = layer.getWeights();
    const [height, width, inner, outer] = kernelTensor.shape;
    const strides = config.strides as [number, number];
    const dilations = (config.dilationRate ?? [1, 1]) as [number, number];
    const own = samePads(shape, [height, width], strides, dilations, config.padding as string, name);
    check(!before || own.every((p) => p === 0), `${name}: it must not pad twice`, `${before} and ${own}`);
    const outChannels = depthwise ? inner * outer : outer;
    const perGroup = depthwise ? 1 : inner;
    const hwio = (await kernelTensor.data()) as Float32Array;
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
    if (bias) this.set(`${name}.bias`, (await bias.data()) as Float32Array, [outChannels]);
    this.nodes.push({
      op: 'conv2d',
      name,
      inputs,
      kernel: [height, width],
      outChannels,
      strides,
      dilations,
      pads: before ?? own,
      groups: depthwise ? inner : 1,
    });
  }

  private async dense(
    layer: Layer,
    name: string,
    inputs: string[],
    config: Config,
    shape: number[],
    from: string,
  ) {
    check(
      shape.length === 2,
      `${name}: a dense layer must follow Flatten, GlobalAveragePooling2D or another dense layer`,
      `an input of [${shape}]`,
    );
    const units = config.units as number;
    const [height, width, channels] = this.flattened.get(from) ?? [1, 1, shape[1]];
    const [kernelTensor, bias] = layer.getWeights();
    const rows = (await kernelTensor.data()) as Float32Array;
    const weight = new Float32Array(rows.length);
    const area = height * width;
    for (let o = 0; o < units; o++) {
      for (let p = 0; p < area; p++) {
        for (let c = 0; c < channels; c++) {
          weight[(o * channels + c) * area + p] = rows[(p * channels + c) * units + o];
        }
      }
    }
    this.set(`${name}.weight`, weight, [units, area * channels]);
    this.set(`${name}.bias`, bias ? ((await bias.data()) as Float32Array) : new Float32Array(units), [units]);
    this.nodes.push({ op: 'linear', name, inputs, outFeatures: units });
  }

  private async batchNorm(layer: Layer, name: string, inputs: string[], config: Config, shape: number[]) {
    const axis = [config.axis as number | number[]].flat()[0];
    check(
      axis === -1 || axis === shape.length - 1,
      `${name}: batch norm must be along channels`,
      `axis ${axis}`,
    );
    const values = await Promise.all(layer.getWeights().map((w) => w.data() as Promise<Float32Array>));
    const channels = shape.at(-1)!;
    const constant = (value: number) => new Float32Array(channels).fill(value);
    const gamma = config.scale === false ? constant(1) : values.shift()!;
    const beta = config.center === false ? constant(0) : values.shift()!;
    const [mean, variance] = values;
    this.set(`${name}.weight`, gamma, [channels]);
    this.set(`${name}.bias`, beta, [channels]);
    this.set(`${name}.running_mean`, mean, [channels]);
    this.set(`${name}.running_var`, variance, [channels]);
    this.nodes.push({ op: 'batchNorm', name, inputs, epsilon: config.epsilon as number });
  }

  /** An activation that a layer carries: a node after it, to which the layer's name then leads. */
  private activation(name: string, activation: string | undefined): void {
    if (!activation || activation === 'linear' || activation === 'softmax') return;
    if (activation !== 'relu' && activation !== 'relu6') {
      throw new LloydError(
        `${name}: an activation must be relu, relu6, linear or a final softmax`,
        activation,
        'replace it',
      );
    }
    const before = this.source(name);
    const node = `${name}.${activation}`;
    this.nodes.push({ op: activation, name: node, inputs: [before] });
    this.alias(name, node);
  }

  private set(name: string, data: Float32Array, dims: number[]): void {
    this.parameters.set(name, { dtype: 'float32', dims, data });
  }
}

/** TensorFlow's padding: `same` puts the odd pixel after. */
function samePads(
  shape: number[],
  kernel: readonly [number, number],
  strides: readonly [number, number],
  dilations: readonly [number, number],
  padding: string,
  name: string,
): Pads {
  if (padding === 'valid') return [0, 0, 0, 0];
  check(padding === 'same', `${name}: padding must be 'same' or 'valid'`, padding);
  const [[top, bottom], [left, right]] = ([0, 1] as const).map((axis) => {
    const size = shape[1 + axis];
    const span = (kernel[axis] - 1) * dilations[axis] + 1;
    const total = Math.max((Math.ceil(size / strides[axis]) - 1) * strides[axis] + span - size, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
  return [top, left, bottom, right];
}
