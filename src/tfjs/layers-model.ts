import { check, LloydError } from '../gpu/errors.ts';
import type { ImageModel } from '../model/graph.ts';
import { GraphBuilder, type Value } from './graph-builder.ts';
import type { Pair } from './tensorflow.ts';

type LayersModel = import('@tensorflow/tfjs').LayersModel;
type Layer = LayersModel['layers'][number];
type Config = Record<string, unknown>;

/** A layer's output for one of its uses, as tfjs keeps it (tfjs-layers 4.22). */
interface Symbolic {
  id: number;
  shape: (number | null)[];
  sourceLayer: Layer;
  nodeIndex: number;
}

/** A model, by itself or as another's layer. */
interface Container {
  name: string;
  layers: readonly (Layer | (Layer & Container))[];
  inputs: readonly Symbolic[];
  outputs: readonly Symbolic[];
}

const SUPPORTED =
  'Activation, Add, AlphaDropout, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, ' +
  'DepthwiseConv2D, Dropout, Flatten, GaussianDropout, GaussianNoise, GlobalAveragePooling2D, GlobalMaxPooling2D, ' +
  'InputLayer, MaxPooling2D, models, ReLU, Rescaling, Reshape, SeparableConv2D, Softmax, ZeroPadding2D';

/**
 * A tfjs convolutional network as our graph with its parameters, ready for `quantizeModel` and `compile`.
 *
 * Weights are reordered from HWIO to OIHW, a dense layer's rows from H x W x C to C x H x W. Models that are layers are
 * taken apart, their layers named `model/layer`; a layer used again is there again, as `layer#2`. Dropout and noise are
 * left out, and so is a softmax at the end: the output are the logits, whose largest is the same class.
 *
 * @param model one input of fixed size, images (NHWC, float32) or rows; one output
 * @throws LloydError naming a layer that has no counterpart, and its class; or a softmax that is not last
 * @example
 * const model = await fromLayersModel(await tf.loadLayersModel('https://example.org/model.json'));
 * const quantized = await quantizeModel(runtime, model, { method: 'kmeans', bits: 4 });
 */
export async function fromLayersModel(model: LayersModel): Promise<ImageModel> {
  const container = model as unknown as Container;
  check(
    isContainer(container),
    'fromLayersModel takes a tfjs LayersModel',
    model,
    'fromGraphModel takes what tf.loadGraphModel loads',
  );
  const { inputs, outputs } = container;
  check(
    inputs.length === 1 && outputs.length === 1,
    'a network must have one input and one output',
    `${inputs.length} and ${outputs.length}`,
  );
  const builder = new GraphBuilder(container.name, inputs[0].shape.slice(1), namesOf(container));
  const [output] = await readModel(builder, container, [builder.input], '');
  return builder.model(output);
}

const isContainer = (layer: unknown): layer is Container => {
  const { layers, inputs, outputs } = (layer ?? {}) as Partial<Container>;
  return [layers, inputs, outputs].every(Array.isArray);
};

/** What nodes may be called: input layers become none. */
function namesOf({ layers }: Container): Set<string> {
  return new Set(layers.filter((layer) => layer.getClassName() !== 'InputLayer').map(({ name }) => name));
}

/** Adds what a model's outputs depend on, each after its inputs; a layer once for every use. */
async function readModel(
  builder: GraphBuilder,
  { name, inputs, outputs }: Container,
  given: readonly Value[],
  prefix: string,
): Promise<Value[]> {
  const values = new Map(inputs.map(({ id }, i) => [id, given[i]]));
  const stack = [...outputs];
  while (stack.length > 0) {
    const { id, sourceLayer: layer, nodeIndex } = stack.at(-1)!;
    if (values.has(id)) {
      stack.pop();
      continue;
    }
    const uses = (layer as unknown as { inboundNodes: Use[] }).inboundNodes;
    const { inputTensors, outputTensors } = uses[nodeIndex];
    check(
      inputTensors.length > 0,
      `${name}: all that a model computes must come from its inputs`,
      layer.name,
    );
    const open = inputTensors.filter((tensor) => !values.has(tensor.id));
    if (open.length > 0) {
      stack.push(...open.reverse());
      continue;
    }
    stack.pop();
    const read = inputTensors.map((tensor) => values.get(tensor.id)!);
    const own = `${prefix}${layer.name}`;
    const made = isContainer(layer)
      ? await readModel(builder, layer, read, `${own}/`)
      : [await addLayer(builder, layer, own, read)];
    for (const [i, tensor] of outputTensors.entries()) values.set(tensor.id, made[i]);
  }
  return outputs.map(({ id }) => values.get(id)!);
}

interface Use {
  inputTensors: Symbolic[];
  outputTensors: Symbolic[];
}

async function addLayer(builder: GraphBuilder, layer: Layer, name: string, inputs: Value[]): Promise<Value> {
  const kind = layer.getClassName();
  const config = layer.getConfig() as Config;
  const [value] = inputs;
  const { rank } = value;
  check(
    config.dataFormat === undefined || config.dataFormat === null || config.dataFormat === 'channelsLast',
    `${name}: data must be channels last`,
    config.dataFormat as string,
  );
  const isLast = (axis: unknown) => axis === undefined || axis === -1 || axis === rank - 1;
  switch (kind) {
    case 'Conv2D':
    case 'DepthwiseConv2D':
    case 'SeparableConv2D':
      return convolution(builder, layer, name, value, config);
    case 'Dense': {
      const [kernel, bias] = layer.getWeights();
      const activation = config.activation as string;
      if (rank === 2)
        return builder.activation(name, await builder.dense(name, value, kernel, bias), activation);
      const filter = kernel.reshape([1, 1, ...kernel.shape]);
      const point = { strides: [1, 1], dilations: [1, 1], padding: 'valid', depthwise: false } as const;
      const dense = await builder.convolution(name, value, { filter, bias, ...point });
      filter.dispose();
      return builder.activation(name, dense, activation);
    }
    case 'BatchNormalization': {
      const axis = [config.axis as number | number[]].flat()[0];
      check(isLast(axis), `${name}: batch norm must be along channels`, `axis ${axis}`);
      const values = layer.getWeights();
      const gamma = config.scale === false ? undefined : values.shift();
      const beta = config.center === false ? undefined : values.shift();
      const [mean, variance] = values;
      return builder.batchNorm(name, value, {
        gamma,
        beta,
        mean,
        variance,
        epsilon: config.epsilon as number,
      });
    }
    case 'Activation':
      return builder.activation(name, value, config.activation as string);
    case 'Softmax':
      check(isLast(config.axis), `${name}: a softmax must be along the last axis`, `axis ${config.axis}`);
      return builder.activation(name, value, 'softmax');
    case 'ReLU': {
      const limit = config.maxValue as number | null | undefined;
      const open = limit === null || limit === undefined;
      check(open || limit === 6, `${name}: ReLU's maximum must be none or 6`, limit);
      check(
        !config.negativeSlope && !config.threshold,
        `${name}: ReLU must be plain`,
        'a slope or threshold',
      );
      return builder.activation(name, value, open ? 'relu' : 'relu6', name);
    }
    case 'MaxPooling2D':
    case 'AveragePooling2D': {
      const kernel = config.poolSize as Pair;
      const strides = (config.strides ?? kernel) as Pair;
      const op = kind === 'MaxPooling2D' ? 'maxPool' : 'averagePool';
      return builder.pool(op, name, value, { kernel, strides, padding: config.padding as string });
    }
    case 'GlobalAveragePooling2D':
      return builder.globalPool('averagePool', name, value, 2);
    case 'GlobalMaxPooling2D':
      return builder.globalPool('maxPool', name, value, 2);
    case 'Add':
      return builder.join('add', name, inputs);
    case 'Concatenate':
      check(
        isLast(config.axis),
        `${name}: images are concatenated along their channels`,
        `axis ${config.axis}`,
      );
      return builder.join('concat', name, inputs);
    case 'Flatten':
      return builder.reshape(name, value, [-1]);
    case 'Reshape':
      return builder.reshape(
        name,
        value,
        (config.targetShape as (number | null)[]).map((n) => n ?? -1),
      );
    case 'Rescaling': {
      const features = builder.features(value);
      const scale = new Float64Array(features).fill(config.scale as number);
      return builder.affine(name, value, { scale, shift: scale.map(() => (config.offset as number) ?? 0) });
    }
    case 'AlphaDropout':
    case 'Dropout':
    case 'GaussianDropout':
    case 'GaussianNoise':
      return value;
    case 'ZeroPadding2D': {
      const [[top, bottom], [left, right]] = config.padding as number[][];
      return builder.zeroPadding(name, value, [top, left, bottom, right]);
    }
  }
  throw new LloydError(
    `${name}: a layer must be one of ${SUPPORTED}`,
    kind,
    'replace it, or build the graph by hand',
  );
}

/** A convolution, a depthwise one, or one after the other as a separable layer has them. */
async function convolution(
  builder: GraphBuilder,
  layer: Layer,
  name: string,
  value: Value,
  config: Config,
): Promise<Value> {
  const kind = layer.getClassName();
  const weights = layer.getWeights();
  const geometry = {
    strides: config.strides as Pair,
    dilations: (config.dilationRate ?? [1, 1]) as Pair,
    padding: config.padding as string,
  };
  let made: Value;
  if (kind === 'SeparableConv2D') {
    const [depthwise, filter, bias] = weights;
    const point = { strides: [1, 1], dilations: [1, 1], padding: 'valid' } as const;
    made = await builder.convolution(`${name}/depthwise`, value, {
      filter: depthwise,
      ...geometry,
      depthwise: true,
    });
    made = await builder.convolution(name, made, { filter, bias, ...point, depthwise: false });
  } else {
    const [filter, bias] = weights;
    const depthwise = kind === 'DepthwiseConv2D';
    made = await builder.convolution(name, value, { filter, bias, ...geometry, depthwise });
  }
  return builder.activation(name, made, config.activation as string);
}
