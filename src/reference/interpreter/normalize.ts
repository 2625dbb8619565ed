// Normalizations, in inference: https://onnx.ai/onnx/operators/.
import { axisOf, type Definition } from './call.ts';
import { broadcastAt, make, sizeOf, type Value } from './value.ts';

interface Moments {
  mean: number;
  variance: number;
}

function momentsOf(row: ArrayLike<number>): Moments {
  const values = Array.from(row);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

/** Neighbouring elements, `size` at a time. */
const groupsOf = ({ data }: Value, size: number): Moments[] =>
  Array.from({ length: size === 0 ? 0 : data.length / size }, (_, i) =>
    momentsOf(data.subarray(i * size, (i + 1) * size)),
  );

const batchNormalization: Definition = (call) => {
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((place) => call.input(place));
  const epsilon = call.float('epsilon', 1e-5);
  return [
    make(x.dtype, x.dims, ([, c], place) => {
      const normal = (x.data[place] - mean.data[c]) / Math.sqrt(variance.data[c] + epsilon);
      return normal * scale.data[c] + bias.data[c];
    }),
  ];
};

const instanceNormalization: Definition = (call) => {
  const [x, scale, bias] = [0, 1, 2].map((place) => call.input(place));
  const epsilon = call.float('epsilon', 1e-5);
  const size = sizeOf(x.dims.slice(2));
  const moments = groupsOf(x, size);
  return [
    make(x.dtype, x.dims, ([, c], place) => {
      const { mean, variance } = moments[Math.floor(place / size)];
      return ((x.data[place] - mean) / Math.sqrt(variance + epsilon)) * scale.data[c] + bias.data[c];
    }),
  ];
};

/** Scale and bias are of a group before opset 21, of a channel from then on. */
const groupNormalization: Definition = (call) => {
  const [x, scale, bias] = [0, 1, 2].map((place) => call.input(place));
  const epsilon = call.float('epsilon', 1e-5);
  const groupChannels = x.dims[1] / call.integer('num_groups', 1);
  const size = groupChannels * sizeOf(x.dims.slice(2));
  const moments = groupsOf(x, size);
  return [
    make(x.dtype, x.dims, ([, c], place) => {
      const { mean, variance } = moments[Math.floor(place / size)];
      const own = call.opset < 21 ? Math.floor(c / groupChannels) : c;
      return ((x.data[place] - mean) / Math.sqrt(variance + epsilon)) * scale.data[own] + bias.data[own];
    }),
  ];
};

/** Over the dimensions from the axis on; its mean and inverse deviation are outputs, too. */
const layerNormalization: Definition = (call) => {
  const [x, scale, bias] = [call.input(0), call.input(1), call.optional(2)];
  const axis = axisOf(call.integer('axis', -1), x.dims.length);
  const epsilon = call.float('epsilon', 1e-5);
  const size = sizeOf(x.dims.slice(axis));
  const moments = groupsOf(x, size);
  const outer = x.dims.map((own, i) => (i < axis ? own : 1));
  const deviation = ({ variance }: Moments) => Math.sqrt(variance + epsilon);
  return [
    make(x.dtype, x.dims, (at, place) => {
      const own = moments[Math.floor(place / size)];
      const normal = (x.data[place] - own.mean) / deviation(own);
      return normal * broadcastAt(scale, at) + (bias ? broadcastAt(bias, at) : 0);
    }),
    ...(size === 0
      ? []
      : [
          make('float32', outer, (_, i) => moments[i].mean),
          make('float32', outer, (_, i) => 1 / deviation(moments[i])),
        ]),
  ];
};

const rmsNormalization: Definition = (call) => {
  const [x, scale] = [call.input(0), call.input(1)];
  const axis = axisOf(call.integer('axis', -1), x.dims.length);
  const epsilon = call.float('epsilon', 1e-5);
  const size = sizeOf(x.dims.slice(axis));
  return [
    make(x.dtype, x.dims, (at, place) => {
      const first = place - (place % size);
      const squares = x.data.subarray(first, first + size).reduce((sum, value) => sum + value * value, 0);
      return (x.data[place] / Math.sqrt(squares / size + epsilon)) * broadcastAt(scale, at);
    }),
  ];
};

export const normalizations: Readonly<Record<string, Definition>> = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
};
