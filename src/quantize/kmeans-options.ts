import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { KMEANS_INITS, type KmeansInit } from './kmeans-init.ts';
import type { KmeansTuning } from './kmeans-lloyd.ts';
import type { KmeansGranularity } from './kmeans-segments.ts';

/** Options of `kmeans`. Give `bits` or `clusters`. */
export interface KmeansOptions {
  /** Width of a code, 1 to 8: 2^bits clusters. */
  bits?: number;
  /** Number of clusters, 2 to 256, where it should not be a power of two. */
  clusters?: number;
  /** Where to start; `'kmeans++'` unless given. `'optimal'` is the global optimum, and needs no seed. */
  init?: KmeansInit;
  /** Seed of `'random'` and `'kmeans++'`, an integer from 0 to 2^32 - 1; 0 unless given. */
  seed?: number;
  /** At most this many Lloyd iterations, 300 unless given. */
  maxIterations?: number;
  /**
   * Stop once no centroid moves by more than this fraction of the group's scale, the power of two above its largest
   * magnitude. 0, the default, iterates until nothing moves: each centroid is then the mean of its members.
   */
  tolerance?: number;
  /** Which elements share a codebook: all of them unless given. */
  granularity?: KmeansGranularity;
  /** Shape of the weights, which `perAxis` needs; a Tensor brings its own. */
  shape?: readonly number[];
  /** Stops the work within one batch of dispatches; its reason is thrown, and nothing stays allocated. */
  signal?: AbortSignal;
  /** Sizes that change no result. */
  tuning?: KmeansTuning;
}

/** Weights to cluster: float32 values, or a float32 or float16 tensor. */
export type KmeansWeights = Float32Array | Tensor;

/** Options with every default filled in. */
export interface KmeansSettings {
  clusters: number;
  init: KmeansInit;
  seed: number;
  maxIterations: number;
  tolerance: number;
  granularity: KmeansGranularity;
  signal?: AbortSignal;
  tuning: KmeansTuning;
}

/** Checks options and fills in the defaults. */
export function resolveOptions(options: Omit<KmeansOptions, 'shape'>): KmeansSettings {
  const { bits, init = 'kmeans++', seed = 0, maxIterations = 300, tolerance = 0 } = options ?? {};
  const { granularity = 'perTensor', tuning = {}, signal } = options ?? {};
  check(
    bits !== undefined || options?.clusters !== undefined,
    'kmeans needs bits (1 to 8) or clusters (2 to 256)',
    'neither',
  );
  if (bits !== undefined) {
    check(Number.isInteger(bits) && bits >= 1 && bits <= 8, 'bits must be an integer from 1 to 8', bits);
  }
  const clusters = options.clusters ?? 2 ** (bits as number);
  check(
    Number.isInteger(clusters) && clusters >= 2 && clusters <= 256,
    'clusters must be an integer from 2 to 256',
    clusters,
    'a code is at most 8 bits wide',
  );
  check(
    bits === undefined || clusters <= 2 ** bits,
    `${bits} bits number at most ${2 ** (bits ?? 0)} clusters`,
    clusters,
    'give bits or clusters, not both',
  );
  check(KMEANS_INITS.includes(init), `init must be one of ${KMEANS_INITS.join(', ')}`, init);
  check(
    Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32,
    'seed must be an integer from 0 to 2^32 - 1',
    seed,
  );
  check(
    Number.isInteger(maxIterations) && maxIterations >= 1,
    'maxIterations must be a positive integer',
    maxIterations,
  );
  check(tolerance >= 0 && tolerance <= 1, 'tolerance must be a number from 0 to 1', tolerance);
  check(
    signal === undefined || typeof signal?.throwIfAborted === 'function',
    'signal must be an AbortSignal',
    signal,
    'pass the signal of an AbortController',
  );
  return { clusters, init, seed, maxIterations, tolerance, granularity, signal, tuning };
}

/** The weights as float32, whatever they came as. */
export function toFloat32(weights: KmeansWeights, name: string): Float32Array {
  if (weights instanceof Float32Array) return weights;
  const data = weights?.data;
  if (weights?.dtype === 'float32' && data instanceof Float32Array) return data;
  check(
    weights?.dtype === 'float16' && data instanceof Uint16Array,
    `${name} must be a Float32Array, or a tensor of float32 (Float32Array) or float16 (Uint16Array)`,
    weights?.dtype ?? weights,
    'convert them to float32 first',
  );
  const values = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const exponent = (data[i] >>> 10) & 31;
    const significand = data[i] & 1023;
    const special = significand ? Number.NaN : Number.POSITIVE_INFINITY;
    const normal = (1024 + significand) * 2 ** (exponent - 25);
    const magnitude = exponent === 31 ? special : exponent === 0 ? significand * 2 ** -24 : normal;
    values[i] = data[i] >>> 15 ? -magnitude : magnitude;
  }
  return values;
}
