import type { BenchCase, ConvCase, Size } from '../types.ts';
import { vggShapes } from './conv.ts';
import { layerCase } from './layer.ts';

interface Shapes {
  /** Convolutions of a large batch. */
  wide: readonly ConvCase[];
  /** One that leaves cores idle unless k is split. */
  deep: ConvCase;
  /** Rows, columns and depth of a matrix product, and of one with a vector. */
  matmul: readonly [M: number, N: number, K: number];
  matvec: readonly [N: number, K: number];
}

const shape = (N: number, H: number, C: number, O: number): ConvCase => ({ N, H, C, O, K: 3 });

/** Small where the adapter is a CPU: these kernels are not its own, and run there to be seen right. */
const SHAPES: Record<Size, Shapes> = {
  tiny: { wide: [shape(2, 5, 12, 20)], deep: shape(1, 3, 160, 12), matmul: [17, 36, 68], matvec: [36, 600] },
  quick: {
    wide: [shape(1, 8, 64, 64)],
    deep: shape(1, 4, 128, 64),
    matmul: [64, 64, 128],
    matvec: [256, 1024],
  },
  standard: {
    wide: [shape(4, 8, 64, 64)],
    deep: shape(1, 4, 512, 64),
    matmul: [128, 128, 256],
    matvec: [1024, 1024],
  },
  gpu: {
    wide: vggShapes(1000),
    deep: shape(1, 4, 512, 512),
    matmul: [4096, 4096, 4096],
    matvec: [4096, 4096],
  },
};

/** The kernels made for graphics cards, whatever the adapter would choose: staged in workgroup memory, f16, tensor cores. */
export function gpuCases(size: Size): BenchCase[] {
  const { wide, deep, matmul, matvec } = SHAPES[size];
  const conv = (stem: string, each: ConvCase) => {
    const { N, H, C, O, K } = each;
    return { ...each, kind: 'conv2d' as const, name: `${stem}(N=${N},H=${H},C=${C},O=${O},K=${K})` };
  };
  const product = (stem: string, [M, N, K]: readonly [number, number, number]) => {
    const name = `${stem}(M=${M},N=${N},K=${K})`;
    return { kind: 'linear' as const, name, N: M, H: 1, C: K, O: N, K: 1 };
  };
  const tiled = { kernels: 'tiled' } as const;
  return [
    ...[...wide, deep].map((each) => layerCase(conv('conv2d-int8-tiled', each), ['int8', 'int4'], tiled)),
    layerCase(product('conv2d-int8-tiled', matmul), ['int8'], tiled),
    layerCase(product('matvec-int8', [1, ...matvec]), ['int8', 'int4'], tiled),
    ...wide.map((each) => layerCase(conv('conv2d-tiled', each), ['fp32'], tiled)),
    layerCase(product('conv2d-tiled', matmul), ['fp32'], tiled),
    ...wide.map((each) => layerCase(conv('conv2d-tiled-codebook', each), ['kmeans-4'], tiled)),
    ...wide.map((each) => layerCase(conv('conv2d-tiled-f16', each), ['fp32'], { ...tiled, float16: true })),
    ...wide.map((each) => layerCase(conv('conv2d-int8-tensor', each), ['int8'], { kernels: 'tensor' })),
    layerCase(product('conv2d-int8-tensor', matmul), ['int8'], { kernels: 'tensor' }),
  ];
}
