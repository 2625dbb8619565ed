import { check } from '../gpu/errors.ts';
import type { Dilated } from './dilation.ts';
import { fusedActivation, fusionOf } from './graph-arithmetic.ts';
import type { Value } from './graph-builder.ts';
import { float, paddingOf, type Reading, rawInteger, spatialOf, type Write } from './graph-node.ts';
import { batchNorm, convolve, convolveTransposed, onChannelsFirst, pool, resize } from './image-nodes.ts';

export function writeConvolution(r: Reading, dilated?: Dilated): Value {
  const { b, name, node, channelsFirst } = r;
  const { bias } = fusionOf(r);
  const oneDimensional = node.op === 'Conv1D';
  const windows = oneDimensional
    ? { strides: [r.attribute('stride', 1)], dilations: [r.attribute('dilation', 1)] }
    : {
        strides: spatialOf(r, 'strides'),
        dilations: spatialOf(r, 'dilations', Array(b.rank(r.input(1))).fill(1)),
      };
  const made = convolve(b, name, float(r, r.input(0)), {
    ...windows,
    padding: paddingOf(r),
    ...(dilated && { dilations: dilated.block, padding: dilated.pads }),
    filter: float(r, r.input(1)),
    bias: bias === undefined ? undefined : r.input(bias),
    depthwise: /Depthwise/.test(node.op),
    channelsFirst,
  });
  return fusedActivation(r, made);
}

const convolution: Write = (r) => writeConvolution(r);

const transposedConvolution: Write = (r) => {
  const { b, name, channelsFirst } = r;
  const spatial = b.rank(r.input(1)) - 2;
  const begin = channelsFirst ? 2 : 1;
  const own = sizesOf(r, 0).slice(begin, begin + spatial);
  const known = own.every((size) => size !== null) && own.length === spatial;
  const size = known
    ? (own as number[])
    : b.slice(`${name}/size`, r.input(0), [0], [begin], [begin + spatial]);
  return convolveTransposed(b, name, float(r, r.input(2)), {
    filter: r.input(1),
    strides: spatialOf(r, 'strides'),
    padding: paddingOf(r),
    size,
    channelsFirst,
  });
};

/** What is known of a list of sizes, which may be packed from some that are constant and some that are computed. */
function sizesOf(r: Reading, index: number): (number | null)[] {
  const whole = r.b.known(r.input(index));
  if (whole) return whole;
  const node = r.node.inputs[index];
  if (node.op !== 'Pack') return [];
  const parts = node.inputNames.filter((_, i) => node.inputs[i].op !== 'NoOp');
  return parts.map((reference, i) => r.b.known(r.lookup(reference, node.inputs[i]))?.[0] ?? null);
}

const pooled =
  (op: 'MaxPool' | 'AveragePool'): Write =>
  (r) =>
    pool(r.b, op, r.name, float(r, r.input(0)), {
      kernel: spatialOf(r, 'kernelSize'),
      strides: spatialOf(r, 'strides'),
      padding: paddingOf(r),
      channelsFirst: r.channelsFirst,
    });

const norm: Write = (r) => {
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => float(r, r.input(index)));
  return batchNorm(r.b, r.name, r.input(0), {
    ...{ gamma, beta, mean, variance },
    epsilon: r.attribute('epsilon', 0.001),
    axis: r.channelsFirst ? 1 : -1,
  });
};

const resized =
  (mode: 'nearest' | 'linear'): Write =>
  (r) => {
    const known = r.b.known(r.input(1));
    check(!known || known.length === 2, 'its size must be height and width', known);
    return resize(r.b, r.name, float(r, r.input(0)), {
      mode,
      alignCorners: r.attribute('alignCorners', false),
      halfPixelCenters: r.attribute('halfPixelCenters', false),
      size: known ?? r.input(1),
    });
  };

const blocks =
  (op: 'DepthToSpace' | 'SpaceToDepth'): Write =>
  (r) => {
    const blocksize = r.attribute<number | null>('blockSize', rawInteger(r.node, 'block_size'));
    check(blocksize, 'its block size must be given', 'none');
    return onChannelsFirst(r.b, r.name, r.input(0), r, (x) => r.b.add(op, r.name, [x], { blocksize }));
  };

/** x / (bias + alpha * the sum of squares of its neighbours along channels)^beta. */
const localResponse: Write = (r) => {
  const { b, name } = r;
  const radius = r.attribute('radius', 5);
  const x = float(r, r.input(0));
  const rank = b.rank(x);
  check(Number.isInteger(radius) && radius >= 0, 'its radius must be a whole number', radius);
  const size = 2 * radius + 1;
  const square = b.add('Mul', `${name}/square`, [x, x]);
  const channels = b.size(`${name}/channels`, x, rank - 1);
  const rows = b.list(`${name}/rows`, [-1, 1, channels]);
  const flat = b.add('Reshape', `${name}/flat`, [square, rows]);
  const mean = b.add('AveragePool', `${name}/mean`, [flat], {
    ...{ kernel_shape: [size], pads: [radius, radius], count_include_pad: 1 },
  });
  const shape = b.add('Shape', `${name}/shape`, [x]);
  const shaped = b.add('Reshape', `${name}/means`, [mean, shape]);
  const scaled = b.add('Mul', `${name}/sums`, [
    shaped,
    b.scalar(`${name}/alpha`, r.attribute('alpha', 1) * size),
  ]);
  const moved = b.add('Add', `${name}/base`, [scaled, b.scalar(`${name}/bias`, r.attribute('bias', 1))]);
  const power = b.add('Pow', `${name}/power`, [moved, b.scalar(`${name}/beta`, r.attribute('beta', 0.5))]);
  return b.add('Div', name, [x, power]);
};

/** Convolutions, pools, norms and what resamples images. */
export const imageNodes: Readonly<Record<string, Write>> = {
  ...{ Conv1D: convolution, Conv2D: convolution, _FusedConv2D: convolution, Conv3D: convolution },
  ...{ DepthwiseConv2d: convolution, DepthwiseConv2dNative: convolution },
  FusedDepthwiseConv2dNative: convolution,
  ...{ Conv2DBackpropInput: transposedConvolution, Conv2dTranspose: transposedConvolution },
  ...{ MaxPool: pooled('MaxPool'), MaxPool3D: pooled('MaxPool') },
  ...{ AvgPool: pooled('AveragePool'), AvgPool3D: pooled('AveragePool') },
  ...{ FusedBatchNorm: norm, FusedBatchNormV2: norm, FusedBatchNormV3: norm },
  ...{ ResizeBilinear: resized('linear'), ResizeNearestNeighbor: resized('nearest') },
  ...{ DepthToSpace: blocks('DepthToSpace'), SpaceToDepth: blocks('SpaceToDepth') },
  LRN: localResponse,
};
