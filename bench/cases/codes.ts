import { prepareMultipliers, requantizeConstant } from '../../src/conv/requantize.ts';
import { chooseQparamsKernel } from '../../src/kernels/choose-qparams.ts';
import { codebookDecode } from '../../src/kernels/codebook-decode.ts';
import { kmeansAccumulateWide } from '../../src/kernels/kmeans-accumulate-wide.ts';
import { packCodesKernel } from '../../src/kernels/pack-codes.ts';
import { requantize } from '../../src/kernels/requantize.ts';
import { unpackCodesKernel } from '../../src/kernels/unpack-codes.ts';
import { chooseQparams } from '../../src/reference/choose-qparams.ts';
import { codebookDecode as codebookDecodeTwin } from '../../src/reference/codebook-decode.ts';
import { keyOfBits, midpointKey } from '../../src/reference/float-keys.ts';
import { kmeansAccumulate } from '../../src/reference/kmeans-accumulate.ts';
import type { Chunk } from '../../src/reference/kmeans-keys.ts';
import { packCodes } from '../../src/reference/pack-codes.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { unpackCodes } from '../../src/reference/unpack-codes.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';

/** Weights of one of the VGG's layers; the largest is 512 x 512 x 3 x 3. */
const COUNTS: Record<Size, number> = { tiny: 1111, quick: 2 ** 17, standard: 512 * 512 * 9, gpu: 2 ** 25 };
/** Ranges at once: the channels of every layer of the VGG, and of a language model. */
const RANGES: Record<Size, number> = { tiny: 77, quick: 4096, standard: 2 ** 16, gpu: 2 ** 20 };

/** What turns codes into others or into values: all exact, all bound by memory. */
export function codeCases(size: Size): BenchCase[] {
  const count = COUNTS[size];
  const arguments_ = `(count=${count})`;
  const bits3 = `(count=${count},bits=3)`;
  return [
    kernelCase(`requantize${arguments_}`, 'int8', 1, ({ runtime }) =>
      requantization(count, requantizeConstant(runtime, 'ort-f32')),
    ),
    kernelCase(`choose-qparams(count=${RANGES[size]})`, 'int8', 1, () => choice(RANGES[size])),
    kernelCase(`pack-codes${bits3}`, 'int3', 1, () => packing(count, 3)),
    kernelCase(`unpack-codes${bits3}`, 'int3', 1, () => unpacking(count, 3)),
    kernelCase(`codebook-decode(count=${count},k=16)`, 'kmeans-4', 1, () => decoding(count, 16)),
    kernelCase(`kmeans-accumulate-wide(count=${count},k=256)`, 'kmeans-8', 1, () => accumulation(count, 256)),
  ];
}

async function requantization(count: number, constant: Promise<string>): Promise<Dispatch> {
  const channels = 256;
  const accumulators = repeated((n) => Int32Array.from({ length: n }, seeded(20).next), count).map(
    (word) => word >> 14,
  );
  const weightScale = Float32Array.from({ length: channels }, (_, c) => (1 + (c % 9)) / 512);
  const [inputScale, outputScale] = [0.02, 0.05];
  const range = { zeroPoint: -5, low: -128, high: 127 };
  return {
    kernel: requantize,
    specialization: { REQUANTIZE: await constant, PACKED: '1u' },
    buffers: {
      accumulators,
      multipliers: prepareMultipliers('ort-f32', inputScale, weightScale, outputScale),
      codes: count,
    },
    params: { count, channels, channelStride: 1, ...range },
    of: 'codes',
    exact: () =>
      Int8Array.from(accumulators, (sum, i) =>
        requantizeReference('ort-f32', sum, {
          inputScale,
          weightScale: weightScale[i % channels],
          outputScale,
          ...range,
        }),
      ),
  };
}

function choice(count: number): Dispatch {
  const values = repeated((n) => seeded(21).floats(n), count * 2);
  const minimum = Float32Array.from({ length: count }, (_, i) => Math.min(values[i * 2], values[i * 2 + 1]));
  const maximum = Float32Array.from({ length: count }, (_, i) => Math.max(values[i * 2], values[i * 2 + 1]));
  const range = { quantMin: 0, quantMax: 255, symmetric: false };
  return {
    kernel: chooseQparamsKernel,
    specialization: { SYMMETRIC: 0, QUANT_MIN: 0, QUANT_MAX: 255 },
    buffers: { minimum, maximum, scale: count * 4, zeroPoint: count * 4 },
    params: { count },
    of: 'zeroPoint',
    exact: () => chooseQparams(minimum, maximum, range).zeroPoint,
  };
}

function packing(count: number, bits: number): Dispatch {
  const codes = repeated((n) => seeded(22).bytes(n), count);
  return {
    kernel: packCodesKernel,
    specialization: { BITS: bits },
    buffers: { input: codes, output: Math.ceil((count * bits) / 32) * 4 },
    params: { count },
    of: 'output',
    exact: () => packCodes(codes, bits),
  };
}

function unpacking(count: number, bits: number): Dispatch {
  const words = repeated(
    (n) => Uint32Array.from({ length: n }, seeded(23).next),
    Math.ceil((count * bits) / 32),
  );
  return {
    kernel: unpackCodesKernel,
    specialization: { BITS: bits, SIGNED: 1 },
    buffers: { input: words, output: count },
    params: { count },
    of: 'output',
    exact: () => unpackCodes(words, bits, count, true),
  };
}

function decoding(count: number, clusters: number): Dispatch {
  const codes = repeated((n) => seeded(24).bytes(n), count).map((byte) => byte % clusters);
  const codebook = seeded(25).floats(clusters).sort();
  const grouping = { clusters, groups: 1, groupStride: count };
  return {
    kernel: codebookDecode,
    buffers: { codes, codebook, output: count * 4 },
    params: { count, ...grouping },
    of: 'output',
    exact: () => codebookDecodeTwin(codes, codebook, grouping),
  };
}

/** One segment in chunks of 65,536, as k-means lays a layer. */
function accumulation(count: number, clusters: number): Dispatch {
  const random = seeded(26);
  // Coarse, so that many elements lie exactly between two centroids.
  const multiple = () => ((random.next() >>> 16) - 2 ** 15) * 2 ** -16;
  const coarse = () => keyOfBits(new Uint32Array(Float32Array.of(multiple()).buffer)[0]);
  const keys = repeated((n) => Uint32Array.from({ length: n }, coarse), count);
  const centroids = Uint32Array.from({ length: clusters }, coarse).sort();
  const thresholds = centroids.map((key, c) =>
    c + 1 < clusters ? midpointKey(key, centroids[c + 1]) : 2 ** 32 - 1,
  );
  const chunks: Chunk[] = [];
  for (let at = 0; at < count; at += 2 ** 16) chunks.push([0, at, Math.min(count, at + 2 ** 16)]);
  const done = new Uint32Array(1);
  const totals = new Uint32Array(clusters * 3);
  const scale = [126, 1, 126] as const;
  return {
    kernel: kmeansAccumulateWide,
    buffers: {
      keys,
      thresholds,
      scales: Uint32Array.of(...scale, 0),
      done,
      chunks: Uint32Array.from(chunks.flatMap((chunk) => [...chunk, 0])),
      totals,
    },
    params: { chunkCount: chunks.length, clusters, planes: 1, plane: 0 },
    of: 'totals',
    exact: () => kmeansAccumulate(keys, thresholds, clusters, [scale], done, chunks, totals.slice(), 1, 0),
  };
}
