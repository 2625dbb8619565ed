import { depthwiseLayout, type TileLayout } from '../../src/conv/weight-layout.ts';
import { type ConvGeometry, convOutput } from '../../src/reference/conv2d-int8.ts';
import { convParams, randomConvs } from './gradients.ts';
import { seeded } from './runtime.ts';

/** Depthwise convolutions of random shapes, strides, dilations and uneven padding, with each of `multipliers` in turn. */
export function randomDepthwise(
  seed: number,
  count: number,
  channels: number,
  multipliers: readonly number[] = [1],
): ConvGeometry[] {
  return randomConvs(seeded(seed), count, channels).map((geometry, i) => ({
    ...geometry,
    outChannels: geometry.inChannels * multipliers[i % multipliers.length],
    groups: geometry.inChannels,
  }));
}

/** Seeded operands of a depthwise convolution, its tiles, and the params that its kernels take. */
export function depthwiseCase(geometry: ConvGeometry) {
  const { batch, height, width, inChannels: channels, outChannels, kernel } = geometry;
  const random = seeded(height * 31 + width);
  const [outHeight, outWidth] = convOutput(geometry);
  const layout: TileLayout = depthwiseLayout({
    outChannels,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
  });
  return {
    input: random.floats(batch * height * width * channels),
    weights: random.floats(outChannels * kernel[0] * kernel[1], 0.5),
    gradient: random.floats(batch * outHeight * outWidth * outChannels),
    layout,
    channels,
    params: convParams(geometry),
    inputPixels: batch * height * width,
    outputPixels: batch * outHeight * outWidth,
  };
}
