import { arrange, type TileLayout, type WeightShape } from '../conv/weight-layout.ts';
import type { ConvLayer } from './fuse.ts';
import { pixels } from './lower.ts';

/** The shape of a layer's weights. */
export function weightShape({ inputShape, outputShape, kernel, groups }: ConvLayer): WeightShape {
  return {
    outChannels: outputShape.channels,
    inChannels: inputShape.channels / groups,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    groups,
  };
}

/** A layer's weights in codes of any kind with the layout its kernel reads: see {@link arrange}. */
export function layoutFor<T extends Float32Array | Int8Array | Uint8Array>(
  layer: ConvLayer,
  codes: T,
  tileVectors: number,
  zero = 0,
): { codes: T; layout: TileLayout } {
  return arrange(codes, weightShape(layer), tileVectors, zero);
}

/** The geometry both convolution kernels take, `words` being channels over four. */
export function convGeometry(layer: ConvLayer) {
  return {
    inputHeight: layer.inputShape.height,
    inputWidth: layer.inputShape.width,
    outputHeight: layer.convShape.height,
    outputWidth: layer.convShape.width,
    kernelHeight: layer.kernel[0],
    kernelWidth: layer.kernel[1],
    strideHeight: layer.strides[0],
    strideWidth: layer.strides[1],
    dilationHeight: layer.dilations[0],
    dilationWidth: layer.dilations[1],
    padTop: layer.pads[0],
    padLeft: layer.pads[1],
    pixelCount: layer.batch * pixels(layer.outputShape) * (layer.pool ? 4 : 1),
    pool: Number(Boolean(layer.pool)),
  };
}

/** Multiply-accumulates of a layer for its batch, as the literature counts them (padding included). */
export function convMacs(layer: ConvLayer): number {
  return layer.batch * pixels(layer.convShape) * layer.weight.length;
}

/** `values` padded with zeros to whole tiles. */
export function padded<T extends Float32Array | Int32Array>(values: T, layout: TileLayout): T {
  const result = new (values.constructor as new (n: number) => T)(layout.tileCount * layout.tileChannels);
  result.set(values);
  return result;
}
