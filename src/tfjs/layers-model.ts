import { check, LloydError } from '../gpu/errors.ts';
import type { Model } from '../model/graph.ts';
import { GraphBuilder, type Pair } from './graph-builder.ts';

type LayersModel = import('@tensorflow/tfjs').LayersModel;
type Layer = LayersModel['layers'][number];
type Config = Record<string, unknown>;

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
  const { shape } = model.inputs[0];
  check(shape.length === 4, 'the input must be images: [batch, height, width, channels]', `[${shape}]`);
  const [, height, width, channels] = shape as number[];
  const builder = new GraphBuilder(model.name, { height, width, channels });
  for (const layer of model.layers) {
    if (layer.getClassName() === 'InputLayer') builder.alias(layer.name, 'input');
    else await addLayer(builder, layer, sourcesOf(layer));
  }
  return builder.model((model.outputs[0] as unknown as { sourceLayer: Layer }).sourceLayer.name);
}

interface Source {
  name: string;
  shape: (number | null)[];
  isInput: boolean;
}

function sourcesOf(layer: Layer): Source[] {
  const nodes = (layer as unknown as { inboundNodes: { inboundLayers: Layer[] }[] }).inboundNodes;
  check(nodes.length === 1, `${layer.name}: a layer may be used once`, `${nodes.length} times`);
  const inputs = [layer.input].flat();
  return nodes[0].inboundLayers.map((source, i) => ({
    name: source.name,
    shape: inputs[i].shape,
    isInput: source.getClassName() === 'InputLayer',
  }));
}

async function addLayer(builder: GraphBuilder, layer: Layer, from: Source[]): Promise<void> {
  const { name } = layer;
  const kind = layer.getClassName();
  const config = layer.getConfig() as Config;
  // A Sequential keeps its input layer apart from `layers`.
  const inputs = from.map((source) => (source.isInput ? 'input' : builder.source(source.name)));
  const [source] = inputs;
  const rank = from[0].shape.length;
  builder.checkPadding(name, from[0].name, /Conv2D$/.test(kind));
  check(
    config.dataFormat === undefined || config.dataFormat === 'channelsLast',
    `${name}: data must be channels last`,
    config.dataFormat as string,
  );
  switch (kind) {
    case 'Conv2D':
    case 'DepthwiseConv2D': {
      const [filter, bias] = layer.getWeights();
      await builder.convolution(name, from[0].name, source, {
        filter,
        bias,
        strides: config.strides as Pair,
        dilations: (config.dilationRate ?? [1, 1]) as Pair,
        padding: config.padding as string,
        depthwise: kind === 'DepthwiseConv2D',
      });
      builder.activation(name, config.activation as string);
      return;
    }
    case 'Dense': {
      check(
        rank === 2,
        `${name}: a dense layer must follow Flatten, GlobalAveragePooling2D or another dense layer`,
        `an input of [${from[0].shape}]`,
      );
      const [kernel, bias] = layer.getWeights();
      await builder.dense(name, source, kernel, bias);
      builder.activation(name, config.activation as string);
      return;
    }
    case 'BatchNormalization':
      return batchNorm(builder, layer, source, config, rank);
    case 'Activation':
      builder.alias(name, source);
      builder.activation(name, config.activation as string);
      return;
    case 'ReLU': {
      const limit = config.maxValue as number | null | undefined;
      const open = limit === null || limit === undefined;
      check(open || limit === 6, `${name}: ReLU's maximum must be none or 6`, limit);
      check(
        !config.negativeSlope && !config.threshold,
        `${name}: ReLU must be plain`,
        'a slope or threshold',
      );
      builder.add({ op: open ? 'relu' : 'relu6', name, inputs });
      return;
    }
    case 'MaxPooling2D':
    case 'AveragePooling2D': {
      const kernel = config.poolSize as Pair;
      const strides = (config.strides ?? kernel) as Pair;
      const op = kind === 'MaxPooling2D' ? 'maxPool' : 'averagePool';
      builder.pool(op, name, source, { kernel, strides, padding: config.padding as string });
      return;
    }
    case 'GlobalAveragePooling2D':
      builder.add({ op: 'globalAveragePool', name, inputs });
      return;
    case 'Add':
      builder.add({ op: 'add', name, inputs });
      return;
    case 'Concatenate':
      check(
        config.axis === -1 || config.axis === rank - 1,
        `${name}: images are concatenated along their channels`,
        `axis ${config.axis}`,
      );
      builder.concat(name, inputs);
      return;
    case 'Flatten':
      builder.add({ op: 'flatten', name, inputs });
      return;
    case 'Dropout':
    case 'Softmax':
      builder.alias(name, source);
      return;
    case 'ZeroPadding2D': {
      const [[top, bottom], [left, right]] = config.padding as number[][];
      builder.zeroPadding(name, source, [top, left, bottom, right]);
      return;
    }
  }
  throw new LloydError(
    `${name}: a layer must be one of ${SUPPORTED}`,
    kind,
    'replace it, or build the graph by hand',
  );
}

function batchNorm(builder: GraphBuilder, layer: Layer, source: string, config: Config, rank: number) {
  const { name } = layer;
  const axis = [config.axis as number | number[]].flat()[0];
  check(axis === -1 || axis === rank - 1, `${name}: batch norm must be along channels`, `axis ${axis}`);
  const values = layer.getWeights();
  const gamma = config.scale === false ? undefined : values.shift();
  const beta = config.center === false ? undefined : values.shift();
  const [mean, variance] = values;
  return builder.batchNorm(name, source, { gamma, beta, mean, variance, epsilon: config.epsilon as number });
}
