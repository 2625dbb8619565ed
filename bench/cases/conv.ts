import type { BenchCase, ConvCase, Size } from '../types.ts';
import { layerCase } from './layer.ts';

const shape = (N: number, H: number, C: number, O: number): ConvCase => ({ N, H, C, O, K: 3 });

/** The VGG's own convolutions, by the size of image they see. */
export const vggShapes = (N: number) => [
  shape(N, 32, 64, 128),
  shape(N, 16, 128, 256),
  shape(N, 16, 256, 256),
  shape(N, 8, 256, 512),
  shape(N, 8, 512, 512),
  shape(N, 4, 512, 512),
];

const SHAPES: Record<Size, readonly ConvCase[]> = {
  tiny: [shape(2, 5, 12, 20)],
  quick: [shape(1, 16, 128, 256)],
  standard: [shape(32, 16, 128, 256), shape(32, 4, 512, 512)],
  gpu: vggShapes(1000),
};

/** Convolutions: integer-only, and in floats with plain or codebook weights. */
export function convCases(size: Size): BenchCase[] {
  return SHAPES[size].flatMap(({ N, H, C, O, K }) => {
    const arguments_ = `(N=${N},H=${H},C=${C},O=${O},K=${K})`;
    const layer = { kind: 'conv2d' as const, N, H, C, O, K };
    return [
      layerCase({ ...layer, name: `conv2d-int8${arguments_}` }, ['int8', 'int4']),
      {
        ...layerCase({ ...layer, name: `conv2d${arguments_}` }, ['fp32', 'kmeans-4']),
        peers: { kind: 'conv2d', shape: { N, H, C, O, K } },
      },
    ];
  });
}
