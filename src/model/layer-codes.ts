import type { ConvLayer } from './fuse.ts';
import type { CodebookLayer, LinearLayer } from './precision.ts';

/** Which of its layer's codebooks element `index` has. */
export function groupOf(index: number, { groups = 1, groupStride = 1 }: CodebookLayer): number {
  return groups === 1 ? 0 : Math.floor(index / groupStride) % groups;
}

/** The weights that a layer's codes stand for, OIHW. */
export function decodeCodebook(layer: CodebookLayer): Float32Array {
  const clusters = layer.codebook.length / (layer.groups ?? 1);
  return Float32Array.from(layer.codes, (code, i) => layer.codebook[groupOf(i, layer) * clusters + code]);
}

/** A batch norm by itself in integers, exactly: each channel's factor is 127 or -127 of its own scale. */
export function affineCodes({ scale }: ConvLayer): LinearLayer {
  return {
    method: 'linear',
    bits: 8,
    codes: Int8Array.from(scale, (factor) => Math.sign(factor) * 127),
    scale: scale.map((factor) => Math.max(Math.abs(factor), 5e-7) / 127),
  };
}
