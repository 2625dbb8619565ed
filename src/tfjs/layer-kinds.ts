import { check } from '../gpu/errors.ts';
import { activate, clip, leakyRelu } from './activations.ts';
import type { GraphBuilder, Value } from './graph-builder.ts';
import { batchNorm, convolve, convolveTransposed, pad, pool, resize } from './image-nodes.ts';
import { bidirectional, recurrent } from './recurrent-layers.ts';

type Pairs = readonly (readonly [number, number])[];

/** One use of a layer. */
export interface LayerReading {
  readonly b: GraphBuilder;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inputs: readonly Value[];
  /** In tfjs's order. */
  readonly weights: readonly Value[];
}

type Write = (layer: LayerReading) => Value;

const isFirst = ({ config }: LayerReading) => config.dataFormat === 'channelsFirst';

/** The activation of a layer that computes something before it; a softmax's input is called as the layer is. */
function activated({ b, name, config }: LayerReading, value: Value): Value {
  const kind = config.activation as string | null;
  b.title(value, name);
  return activate(b, `${name}/${kind}`, value, kind);
}

/** Strides, dilations and padding, by Keras's names. */
function windowsOf(layer: LayerReading) {
  const { config } = layer;
  return {
    strides: [config.strides].flat() as number[],
    padding: config.padding as string,
    channelsFirst: isFirst(layer),
  };
}

const convolution: Write = (layer) => {
  const { b, name, inputs, weights, config } = layer;
  const [filter, bias] = weights;
  const dilations = [config.dilationRate].flat() as number[];
  const made = convolve(b, name, inputs[0], { ...windowsOf(layer), dilations, filter, bias });
  return activated(layer, made);
};

const depthwise: Write = (layer) => {
  const { b, name, inputs, weights, config } = layer;
  const [filter, bias] = weights;
  const dilations = [config.dilationRate ?? 1].flat() as number[];
  check(
    dilations.every((step) => step === 1),
    'tfjs leaves the dilation of a depthwise layer out, and gives another answer than Keras',
    dilations,
    'convert the model to a graph model',
  );
  return activated(
    layer,
    convolve(b, name, inputs[0], { ...windowsOf(layer), filter, bias, depthwise: true }),
  );
};

const separable: Write = (layer) => {
  const { b, name, inputs, weights, config } = layer;
  const [own, filter, bias] = weights;
  const dilations = [config.dilationRate ?? 1].flat() as number[];
  const windows = windowsOf(layer);
  const first = convolve(b, `${name}/depthwise`, inputs[0], {
    ...{ ...windows, dilations, filter: own, depthwise: true },
  });
  const point = { strides: windows.strides.map(() => 1), padding: 'valid' };
  const made = convolve(b, name, first, { ...windows, ...point, filter, bias });
  return activated(layer, made);
};

const transposedConvolution: Write = (layer) => {
  const { b, name, inputs, weights } = layer;
  const [filter, bias] = weights;
  return activated(layer, convolveTransposed(b, name, inputs[0], { ...windowsOf(layer), filter, bias }));
};

const dense: Write = (layer) => {
  const { b, name, inputs, weights } = layer;
  const [kernel, bias] = weights;
  const product = b.add('MatMul', name, [inputs[0], kernel]);
  return activated(layer, bias ? b.add('Add', `${name}/bias`, [product, bias]) : product);
};

const norm: Write = ({ b, name, inputs, weights, config }) => {
  const rest = [...weights];
  const gamma = config.scale === false ? undefined : rest.shift();
  const beta = config.center === false ? undefined : rest.shift();
  const [mean, variance] = rest;
  const axis = [config.axis as number | number[]].flat()[0];
  return batchNorm(b, name, inputs[0], {
    ...{ gamma, beta, mean, variance, axis, epsilon: config.epsilon as number },
  });
};

const layerNorm: Write = ({ b, name, inputs, weights, config }) => {
  const [x] = inputs;
  const rank = b.rank(x);
  const axes = [config.axis as number | number[]].flat().map((axis) => (axis < 0 ? axis + rank : axis));
  const rest = [...weights];
  const gamma = config.scale === false ? undefined : rest.shift();
  const beta = config.center === false ? undefined : rest.shift();
  const epsilon = config.epsilon as number;
  if (axes.every((axis, i) => axis === rank - axes.length + i)) {
    const scale = gamma ?? b.floats(`${name}.weight`, [1], Float32Array.of(1));
    return b.add('LayerNormalization', name, beta ? [x, scale, beta] : [x, scale], {
      ...{ axis: -axes.length, epsilon },
    });
  }
  const centred = b.add('Sub', `${name}/centred`, [x, b.reduce('ReduceMean', `${name}/mean`, x, axes, true)]);
  const square = b.add('Mul', `${name}/square`, [centred, centred]);
  const variance = b.reduce('ReduceMean', `${name}/variance`, square, axes, true);
  const moved = b.add('Add', `${name}/moved`, [variance, b.scalar(`${name}/epsilon`, epsilon)]);
  let made = b.add('Div', `${name}/scaled`, [centred, b.add('Sqrt', `${name}/deviation`, [moved])]);
  const spread = (key: string, value: Value) => {
    const shape = Array.from({ length: rank }, (_, i) =>
      axes.includes(i) ? value.dims![axes.indexOf(i)] : 1,
    );
    return b.reshape(`${name}.${key}/spread`, value, shape);
  };
  if (gamma) made = b.add('Mul', `${name}/gamma`, [made, spread('weight', gamma)]);
  return beta ? b.add('Add', name, [made, spread('bias', beta)]) : made;
};

const pooled =
  (op: 'MaxPool' | 'AveragePool'): Write =>
  (layer) =>
    pool(layer.b, op, layer.name, layer.inputs[0], {
      ...windowsOf(layer),
      kernel: [layer.config.poolSize].flat() as number[],
    });

const globalPool =
  (op: 'ReduceMean' | 'ReduceMax'): Write =>
  (layer) => {
    const { b, name, inputs } = layer;
    const spatial = Array.from({ length: b.rank(inputs[0]) - 2 }, (_, i) => i + (isFirst(layer) ? 2 : 1));
    return b.reduce(op, name, inputs[0], spatial, false);
  };

/** Inputs of one rank: shorter ones get ones behind the batch. */
function alike({ b, name, inputs }: LayerReading): Value[] {
  const most = Math.max(...inputs.map((value) => b.rank(value)));
  return inputs.map((value, i) => {
    const axes = Array.from({ length: most - b.rank(value) }, (_, axis) => axis + 1);
    return axes.length > 0 ? b.unsqueeze(`${name}/${i}`, value, axes) : value;
  });
}

const merged =
  (op: string): Write =>
  (layer) => {
    const values = alike(layer);
    return values
      .slice(1)
      .reduce(
        (made, value, i) =>
          layer.b.add(op, i === values.length - 2 ? layer.name : `${layer.name}/${i + 1}`, [made, value]),
        values[0],
      );
  };

const average: Write = (layer) => {
  const { b, name } = layer;
  const sum = merged('Add')({ ...layer, name: `${name}/sum` });
  return b.add('Mul', name, [sum, b.scalar(`${name}/share`, 1 / layer.inputs.length)]);
};

/** Along an axis over its length, which tfjs takes to be the root of 1e-7 at least. */
function unitLength(b: LayerReading['b'], name: string, value: Value, axis: number): Value {
  const squares = b.reduce(
    'ReduceSum',
    `${name}/squares`,
    b.add('Mul', `${name}/square`, [value, value]),
    [axis],
    true,
  );
  const least = b.add('Max', `${name}/least`, [squares, b.scalar(`${name}/epsilon`, 1e-7)]);
  return b.add('Div', name, [value, b.add('Sqrt', `${name}/length`, [least])]);
}

/** Products of matrices, a batch of them; of two vectors each. */
const dot: Write = ({ b, name, inputs: given, config }) => {
  const ranks = given.map((value) => b.rank(value));
  const axes = ranks.map((rank, i) => {
    const axis = Array.isArray(config.axes) ? config.axes[i] : (config.axes as number);
    return axis < 0 ? axis + rank : axis;
  });
  check(
    axes.every((axis) => axis > 0),
    'its axes must not be the batch',
    axes,
  );
  const inputs = config.normalize
    ? given.map((value, i) => unitLength(b, `${name}/${i}/normal`, value, axes[i]))
    : given;
  if (ranks.every((rank) => rank === 2)) {
    return b.reduce('ReduceSum', name, b.add('Mul', `${name}/products`, inputs), [1], true);
  }
  // Rows x sums by sums x columns; a vector is one row, or one column, that goes again.
  const sides = inputs.map((value, i) => {
    if (ranks[i] === 2) return b.unsqueeze(`${name}/${i}`, value, [i === 0 ? 1 : 2]);
    return axes[i] === (i === 0 ? 2 : 1) ? value : b.transpose(`${name}/${i}`, value, [0, 2, 1]);
  });
  const made = b.add('MatMul', name, sides);
  const gone = ranks.flatMap((rank, i) => (rank === 2 ? [i + 1] : []));
  return gone.length > 0 ? b.squeeze(`${name}/squeezed`, made, gone) : made;
};

const zeroPadding: Write = (layer) => {
  const own = layer.config.padding as Pairs;
  const none = [0, 0] as const;
  const sides = isFirst(layer) ? [none, none, ...own] : [none, ...own, none];
  return pad(layer.b, layer.name, layer.inputs[0], sides);
};

const cropping: Write = (layer) => {
  const { b, name, inputs, config } = layer;
  const own = config.cropping as Pairs;
  const begin = isFirst(layer) ? 2 : 1;
  const axes = own.flatMap((pair, i) => (pair.some((size) => size !== 0) ? [i] : []));
  if (axes.length === 0) return inputs[0];
  return b.slice(
    name,
    inputs[0],
    axes.map((i) => i + begin),
    axes.map((i) => own[i][0]),
    axes.map((i) => (own[i][1] === 0 ? 2 ** 31 - 1 : -own[i][1])),
  );
};

const flatten: Write = (layer) => {
  const { b, name, inputs } = layer;
  const rank = b.rank(inputs[0]);
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  const last =
    isFirst(layer) && rank > 2 ? b.transpose(`${name}/nhwc`, inputs[0], [0, ...spatial, 1]) : inputs[0];
  return b.add('Flatten', name, [last], { axis: 1 });
};

const softmax: Write = ({ b, name, inputs, config }) => {
  const axes = [config.axis as number | number[]].flat();
  check(axes.length === 1, 'a softmax must be along one axis', axes);
  return b.add('Softmax', name, inputs, { axis: axes[0] });
};

const passed: Write = ({ inputs }) => inputs[0];

/** Layers by the names of their classes; models, wrappers and inputs are the reader's. */
export const LAYERS: Readonly<Record<string, Write>> = {
  ...{ Conv1D: convolution, Conv2D: convolution, Conv3D: convolution, DepthwiseConv2D: depthwise },
  ...{ SeparableConv2D: separable, Conv2DTranspose: transposedConvolution },
  ...{ Conv3DTranspose: transposedConvolution, Dense: dense },
  ...{ BatchNormalization: norm, LayerNormalization: layerNorm },
  Activation: ({ b, name, inputs, config }) => activate(b, name, inputs[0], config.activation as string),
  Softmax: softmax,
  ReLU: ({ b, name, inputs, config }) =>
    clip(b, name, inputs[0], 0, (config.maxValue as number | null) ?? undefined),
  LeakyReLU: ({ b, name, inputs, config }) => leakyRelu(config.alpha as number)(b, name, inputs[0]),
  PReLU: ({ b, name, inputs, weights }) => b.add('PRelu', name, [inputs[0], weights[0]]),
  ELU: ({ b, name, inputs, config }) => b.add('Elu', name, inputs, { alpha: config.alpha as number }),
  ThresholdedReLU: ({ b, name, inputs, config }) =>
    b.add('ThresholdedRelu', name, inputs, { alpha: config.theta as number }),
  ...{ Add: merged('Add'), Subtract: merged('Sub'), Multiply: merged('Mul'), Average: average },
  ...{ Maximum: merged('Max'), Minimum: merged('Min'), Dot: dot },
  Concatenate: ({ b, name, inputs, config }) =>
    b.add('Concat', name, inputs, { axis: (config.axis as number | undefined) ?? -1 }),
  ...{ MaxPooling1D: pooled('MaxPool'), MaxPooling2D: pooled('MaxPool'), MaxPooling3D: pooled('MaxPool') },
  ...{ AveragePooling1D: pooled('AveragePool'), AveragePooling2D: pooled('AveragePool') },
  AveragePooling3D: pooled('AveragePool'),
  ...{ GlobalAveragePooling1D: globalPool('ReduceMean'), GlobalAveragePooling2D: globalPool('ReduceMean') },
  ...{ GlobalMaxPooling1D: globalPool('ReduceMax'), GlobalMaxPooling2D: globalPool('ReduceMax') },
  ...{ ZeroPadding2D: zeroPadding, Cropping2D: cropping, Flatten: flatten },
  UpSampling2D: (layer) =>
    resize(layer.b, layer.name, layer.inputs[0], {
      mode: layer.config.interpolation === 'bilinear' ? 'linear' : 'nearest',
      factors: layer.config.size as number[],
      channelsFirst: isFirst(layer),
    }),
  Resizing: ({ b, name, inputs, config }) =>
    resize(b, name, inputs[0], {
      mode: config.interpolation === 'bilinear' ? 'linear' : 'nearest',
      // So tfjs has it (layers 4.22), whatever the option says.
      alignCorners: !config.cropToAspectRatio,
      size: [config.height as number, config.width as number],
    }),
  // A size of 0 copies the batch.
  Reshape: ({ b, name, inputs, config }) =>
    b.reshape(name, inputs[0], [0, ...(config.targetShape as (number | null)[]).map((size) => size ?? -1)]),
  Permute: ({ b, name, inputs, config }) => b.transpose(name, inputs[0], [0, ...(config.dims as number[])]),
  RepeatVector: ({ b, name, inputs, config }) => {
    const repeats = b.integers(`${name}/repeats`, [1, config.n as number, 1]);
    return b.add('Tile', name, [b.unsqueeze(`${name}/row`, inputs[0], [1]), repeats]);
  },
  Rescaling: ({ b, name, inputs, config }) => {
    const scale = b.scalar(`${name}.scale`, config.scale as number);
    const scaled = b.add('Mul', `${name}/scaled`, [b.cast(name, inputs[0], 'float32'), scale]);
    return b.add('Add', name, [
      scaled,
      b.scalar(`${name}.offset`, (config.offset as number | undefined) ?? 0),
    ]);
  },
  Embedding: ({ b, name, inputs, weights }) =>
    b.add('Gather', name, [weights[0], b.cast(name, inputs[0], 'int32')], { axis: 0 }),
  ...{ SimpleRNN: recurrent('SimpleRNN'), GRU: recurrent('GRU'), LSTM: recurrent('LSTM') },
  Bidirectional: bidirectional,
  ...{ Dropout: passed, AlphaDropout: passed, SpatialDropout1D: passed, GaussianDropout: passed },
  GaussianNoise: passed,
};

/** Why layers have no counterpart; others are unknown. */
export const LAYER_REASONS: readonly (readonly [RegExp, string])[] = [
  [/RNN|LSTM/, 'a recurrent layer runs once a step, over what it has kept'],
  [/^Masking$/, 'steps that are left out depend on what the network is given'],
];
