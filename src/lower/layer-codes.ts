import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/quantized-model.ts';
import { fitScales } from '../quantize/bias-scale.ts';
import { roundHalfToEven } from '../reference/round.ts';
import type { ConvLayer } from './fuse.ts';

/** Which of its layer's codebooks element `index` has. */
export function groupOf(index: number, { groups = 1, groupStride = 1 }: CodebookLayer): number {
  return groups === 1 ? 0 : Math.floor(index / groupStride) % groups;
}

/** The weights that a layer's codes stand for, OIHW. */
export function decodeCodebook(layer: CodebookLayer): Float32Array {
  const { codes, codebook, groups = 1 } = layer;
  const clusters = codebook.length / groups;
  // A loop over millions of weights: `from` with a function takes several times as long.
  const weights = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    weights[i] = codebook[(groups === 1 ? 0 : groupOf(i, layer) * clusters) + codes[i]];
  }
  return weights;
}

/** A batch norm by itself in integers, exactly: each channel's factor is 127 or -127 of its own scale. */
export function affineCodes({ scale }: ConvLayer): LinearLayer {
  return {
    method: 'linear',
    bits: 8,
    codes: Int8Array.from(scale, (factor) => Math.sign(factor) * 127),
    scale: scale.map((factor) => Math.abs(factor) / 127 || 1),
  };
}

/** A layer's codes by scales at which its biases fit int32: see {@link fitScales}. */
export function fitCodes(
  weights: LinearLayer,
  { shift, affine }: ConvLayer,
  input: ActivationQparams,
): LinearLayer {
  const { codes, scale } = weights;
  const fitted = fitScales({
    codes,
    scale,
    bias: shift,
    inputScale: input.scale,
    inputZeroPoint: input.zeroPoint,
    inputRange: [-128, 127],
    keepDead: !affine,
  });
  if (fitted === scale) return weights;
  const row = codes.length / scale.length;
  const recoded = codes.map((code, i) => {
    const channel = Math.floor(i / row);
    return roundHalfToEven((code * scale[channel]) / fitted[channel]);
  });
  return { ...weights, codes: recoded, scale: fitted };
}
