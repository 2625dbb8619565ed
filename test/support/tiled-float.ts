import { type TiledTile, tiledFloatSpecialization } from '../../src/conv/tiled-tile.ts';
import { type TileLayout, tileLayout, tileWeights } from '../../src/conv/weight-layout.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { type ConvGeometry, maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { dispatch } from './dispatch.ts';
import { seeded } from './runtime.ts';

/** 3x3 over 2 images of 7 x 9 x 10, padded by 1, 42 output channels: ragged in every direction of every tile. */
const geometry: ConvGeometry = {
  batch: 2,
  height: 7,
  width: 9,
  inChannels: 10,
  outChannels: 42,
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
  groups: 1,
};

/** What a kernel of `lib/tiled-float.wgsl` gets besides tile and epilogue. */
export interface TiledFloatCase {
  kernel: unknown;
  tile: TiledTile;
  pool: boolean;
  /** OIHW weights, and the buffers that hold them as the kernel wants them. */
  weights(
    count: number,
    tiled: (codes: Float32Array | Uint8Array) => Float32Array | Uint8Array,
  ): {
    values: Float32Array;
    buffers: Record<string, ArrayBufferView>;
  };
  specialization?: Record<string, string>;
}

/** The largest error over all outputs, relative to the sum of magnitudes behind each; and the kernel's output. */
export async function tiledFloatError(runtime: Runtime, kase: TiledFloatCase): Promise<number> {
  const r = seeded(31);
  const { batch, height, width, inChannels, outChannels } = geometry;
  const layout: TileLayout = tileLayout(
    { outChannels, inChannels, kernelHeight: 3, kernelWidth: 3, groups: 1 },
    kase.tile.tileVectors,
  );
  const { values, buffers } = kase.weights(outChannels * inChannels * 9, (codes) =>
    tileWeights(codes, layout),
  );
  const images = r.floats(batch * height * width * inChannels);
  const padded = new Float32Array(batch * height * width * 12);
  for (let i = 0; i < images.length; i++) padded[Math.floor(i / 10) * 12 + (i % 10)] = images[i];
  const scale = r.floats(outChannels); // negative ones too: pooling must come after them
  const shift = r.floats(outChannels);
  const channels = layout.tileCount * layout.tileChannels;
  const whole = (each: Float32Array) => {
    const result = new Float32Array(channels);
    result.set(each);
    return result;
  };
  const pixelCount = batch * (kase.pool ? (height >> 1) * (width >> 1) * 4 : height * width);
  const rows = pixelCount / (kase.pool ? 4 : 1);
  const { output } = await dispatch(
    runtime,
    kase.kernel as Kernel,
    { input: padded, scale: whole(scale), shift: whole(shift), ...buffers },
    { output: rows * 44 * 4 },
    {
      inputHeight: height,
      inputWidth: width,
      inputVectors: 3,
      outputHeight: height,
      outputWidth: width,
      outputVectors: 11,
      kernelHeight: 3,
      kernelWidth: 3,
      strideHeight: 1,
      strideWidth: 1,
      dilationHeight: 1,
      dilationWidth: 1,
      padTop: 1,
      padLeft: 1,
      groupVectors: 3,
      groupTiles: layout.groupTiles,
      pixelCount,
      tileCount: layout.tileCount,
      pool: Number(kase.pool),
      low: -2,
      high: 1e30,
    },
    { ...tiledFloatSpecialization(kase.tile), ...kase.specialization },
  );
  const reference = (weights: Float32Array, inputs: Float32Array, by: Float32Array, plus: Float32Array) => {
    const all = conv2d(inputs, weights, by, plus, [-2, 1e30], geometry);
    return kase.pool ? maxPool2x2(all, [batch, height, width, outChannels]) : all;
  };
  const want = reference(values, images, scale, shift);
  const size = reference(
    values.map(Math.abs),
    images.map(Math.abs),
    scale.map(Math.abs),
    shift.map(Math.abs),
  );
  const got = new Float32Array(output);
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < 44; c++) {
      const value = got[row * 44 + c];
      // Channels that only pad a vector are 0, so that the next layer may multiply them with anything finite.
      const [expected, magnitude] = c < 42 ? [want[row * 42 + c], size[row * 42 + c]] : [0, 1];
      const error = Math.abs(value - expected) / magnitude;
      worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
    }
  }
  return worst;
}
